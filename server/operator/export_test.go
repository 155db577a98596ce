package operator

import (
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// Found names what a choice finds in tx that can be revoked.
func Found(tx storage.Tx, now time.Time, chosen func(agents.Agent, agents.Credential) bool) ([]string, error) {
	list, err := revocable{chosen: chosen, grace: agents.DefaultRenewGrace}.at(tx, now)
	return ids(list), err
}

// Surveyed looks at the records in tx, and returns what brings that up to date.
func Surveyed(tx storage.Tx, now time.Time, chosen func(agents.Agent, agents.Credential) bool) (func(storage.Tx, time.Time) ([]string, error), error) {
	v, err := newSurvey(tx, now, revocable{chosen: chosen, grace: agents.DefaultRenewGrace})
	return func(tx storage.Tx, now time.Time) ([]string, error) {
		list, err := v.at(tx, now)
		return ids(list), err
	}, err
}

func ids(list []holding) (all []string) {
	for _, c := range list {
		kind := "certificate "
		if c.token {
			kind = "token "
		}
		all = append(all, kind+c.ID.String())
	}
	return all
}
