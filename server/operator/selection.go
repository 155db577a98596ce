package operator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

// A selection says which credentials to revoke.
type selection api.Selection

func (s selection) check(now time.Time) (agents.Reason, error) {
	switch {
	case !s.names() && s.IssuedBefore.IsZero() && s.IssuedSince.IsZero():
		return 0, fmt.Errorf("%w selection: name an agent, an owner, a label, a role or a time", agents.ErrInvalid)
	case s.IssuedBefore.After(now):
		return 0, fmt.Errorf("%w selection: %s lies in the future; to stop an agent from obtaining more, suspend it", agents.ErrInvalid, s.IssuedBefore.Format(time.RFC3339))
	}
	if s.Role != "" {
		if _, err := agents.ParseRoleName(s.Role); err != nil {
			return 0, err
		}
	}
	if s.Reason == "" {
		return agents.Unspecified, nil
	}
	return agents.ParseReason(s.Reason)
}

// names reports whether the selection names agents, in any way.
func (s selection) names() bool {
	return s.Agent != "" || s.Owner != "" || len(s.Labels) > 0 || s.Role != ""
}

// checkAgents refuses a selection that names no agent, and the authority itself.
func (s selection) checkAgents(tx storage.Tx) error {
	own, err := agents.Get(tx, agents.Authority)
	if err != nil && !errors.Is(err, agents.ErrUnknown) {
		return err
	}
	if err == nil && (s.Agent == string(own.Name) || s.Owner == own.Owner) {
		return fmt.Errorf("%w: %s is the authority itself; stop the server instead", agents.ErrTransition, own.Name)
	}
	if s.Agent != "" {
		if _, err := agents.Get(tx, agents.Name(s.Agent)); err != nil {
			return err
		}
	}
	if !s.names() {
		return nil
	}
	s.IssuedBefore, s.IssuedSince = time.Time{}, time.Time{} // the rest of s chooses agents
	for a, err := range agents.All(tx) {
		if err != nil || a.Name != agents.Authority && s.chooses(a, agents.Credential{}) {
			return err
		}
	}
	return fmt.Errorf("%w: none has %s", agents.ErrUnknown, s.described())
}

// described says what chosen agents have in common.
func (s selection) described() string {
	var parts []string
	if s.Agent != "" {
		parts = append(parts, "the name "+s.Agent)
	}
	if s.Owner != "" {
		parts = append(parts, "the owner "+s.Owner)
	}
	for _, l := range labels(s.Labels) {
		parts = append(parts, "the label "+l)
	}
	if s.Role != "" {
		parts = append(parts, "the role "+s.Role)
	}
	return strings.Join(parts, " and ")
}

func (s selection) chooses(a agents.Agent, c agents.Credential) bool {
	if s.Agent != "" && s.Agent != string(a.Name) || s.Owner != "" && s.Owner != a.Owner || s.Role != "" && !a.HasRole(agents.RoleName(s.Role)) {
		return false
	}
	for k, v := range s.Labels {
		if a.Labels[k] != v {
			return false
		}
	}
	return (s.IssuedBefore.IsZero() || c.IssuedAt.Before(s.IssuedBefore)) && (s.IssuedSince.IsZero() || !c.IssuedAt.Before(s.IssuedSince))
}

// subject names the selection in the audit log.
func (s selection) subject() string {
	switch {
	case s.Agent != "":
		return s.Agent
	case s.Owner != "":
		return "owner " + s.Owner
	case len(s.Labels) > 0:
		return "label " + strings.Join(labels(s.Labels), " ")
	case s.Role != "":
		return "role " + s.Role
	}
	return "all agents"
}

// labels returns each label as KEY=VALUE, in their order.
func labels(l map[string]string) (list []string) {
	for _, k := range slices.Sorted(maps.Keys(l)) {
		list = append(list, k+"="+l[k])
	}
	return list
}

// reasons returns, for the audit log, the reason and the other members of the
// selection.
func (s selection) reasons(why agents.Reason) []string {
	said := []string{why.String()}
	if !s.IssuedBefore.IsZero() {
		said = append(said, "issued before "+s.IssuedBefore.Format(time.RFC3339))
	}
	if !s.IssuedSince.IsZero() {
		said = append(said, "issued since "+s.IssuedSince.Format(time.RFC3339))
	}
	return said
}

// cut kills the selected credentials.
func (s selection) cut(tx storage.Tx, ended []holding, c agents.Cutoff) error {
	if !s.IssuedSince.IsZero() {
		for _, e := range ended {
			if err := agents.Revoke(tx, e.Credential, c); err != nil {
				return err
			}
		}
		return nil
	}
	if !s.IssuedBefore.IsZero() {
		c.Made, c.At = c.At, s.IssuedBefore.Add(-1)
	}
	if s.Owner != "" && s.Agent == "" && len(s.Labels) == 0 && s.Role == "" {
		return agents.CutOwner(tx, s.Owner, c)
	}
	return s.cutAgents(tx, c)
}

// members returns the agents that the selection is about, whenever their credentials were
// issued.
func (s selection) members(tx storage.Tx) (chosen []agents.Name, err error) {
	s.IssuedBefore, s.IssuedSince = time.Time{}, time.Time{} // the rest of s chooses agents
	for a, err := range agents.All(tx) {
		if err != nil {
			return nil, err
		}
		if a.Name != agents.Authority && s.chooses(a, agents.Credential{}) {
			chosen = append(chosen, a.Name)
		}
	}
	return chosen, nil
}

// cutAgents gives each agent that the selection is about the cutoff.
func (s selection) cutAgents(tx storage.Tx, c agents.Cutoff) error {
	chosen, err := s.members(tx)
	if err != nil {
		return err
	}
	for _, n := range chosen {
		if err := agents.CutAgent(tx, n, c); err != nil {
			return err
		}
	}
	return nil
}
