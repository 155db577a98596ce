package operator

import (
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/storage"
)

// touched returns, for the audit log, the agents of a group that a revocation touched. One
// agent is the subject of the event already. A selection by time alone is about all agents,
// so only those that lost something are named.
func (s selection) touched(tx storage.Tx, ended []holding, opened []acme.Account, left unused) ([]string, error) {
	if s.Agent != "" {
		return nil, nil
	}
	if s.names() {
		all, err := s.members(tx)
		return named(all), err
	}
	all := holders(ended)
	for _, a := range opened {
		all = append(all, a.Agent)
	}
	return named(append(all, left.agents...)), nil
}

// holders returns whose the credentials are.
func holders(list []holding) (all []agents.Name) {
	for _, h := range list {
		all = append(all, h.Agent)
	}
	return all
}

// named returns each name once, in their order.
func named(all []agents.Name) (names []string) {
	slices.Sort(all)
	for _, n := range slices.Compact(all) {
		names = append(names, string(n))
	}
	return names
}
