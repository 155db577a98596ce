package authority

import (
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

// An agentKey is the oldest of the keys of one kind with which an agent authenticates for
// long, if its age is limited.
type agentKey struct {
	agent agents.Name
	acme  bool // it is of an ACME account, not a registered one
	since time.Time
	end   time.Time
}

// agentKeyEnds returns the keys of agents whose age is limited, the next to end first. Those
// of agents that obtain nothing anyway are left out.
func (a *Authority) agentKeyEnds(tx storage.Tx, now time.Time) (all []agentKey, err error) {
	limits := a.File.KeyMaxAges
	for agent, err := range agents.All(tx) {
		if err != nil {
			return nil, err
		}
		limit := agent.KeyMaxAgeOf(limits.OfRegistered())
		if len(agent.Keys) == 0 || limit == 0 || agent.Usable(now) != nil {
			continue
		}
		oldest := agentKey{agent: agent.Name}
		for _, k := range agent.Keys {
			since, err := agents.KeySince(tx, agent, k)
			if err != nil {
				return nil, err
			}
			if oldest.since.IsZero() || since.Before(oldest.since) {
				oldest.since = since
			}
		}
		oldest.end = oldest.since.Add(limit)
		all = append(all, oldest)
	}
	accounts, err := accountKeyEnds(tx, limits.ACME, now)
	all = append(all, accounts...)
	slices.SortStableFunc(all, func(a, b agentKey) int { return a.end.Compare(b.end) })
	return all, err
}

// accountKeyEnds is agentKeyEnds for the keys of ACME accounts.
func accountKeyEnds(tx storage.Tx, limit time.Duration, now time.Time) (all []agentKey, err error) {
	standing, oldest := agents.NewStanding(tx, now), map[agents.Name]agentKey{}
	for account, err := range acme.Accounts(tx) {
		if err != nil {
			return nil, err
		}
		agent, err := account.Holder(standing)
		if policy.IsDenial(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		k := agentKey{agent.Name, true, account.KeySince(), agent.KeyEnd(account.KeySince(), limit)}
		if had, found := oldest[k.agent]; !k.end.IsZero() && (!found || k.end.Before(had.end)) {
			oldest[k.agent] = k
		}
	}
	for _, k := range oldest {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b agentKey) int { return strings.Compare(string(a.agent), string(b.agent)) })
	return all, nil
}

// warnsFrom returns when operators hear of a key: a third of its time before it is too old,
// and 30 days at most.
func (k agentKey) warnsFrom() time.Time { return k.end.Add(-min(day(30), k.end.Sub(k.since)/3)) }

func (k agentKey) reason(now time.Time) api.Reason {
	when := "will be too old at " + k.end.UTC().Format(time.RFC3339)
	if !now.Before(k.end) {
		when = "is too old since " + k.end.UTC().Format(time.RFC3339) + " and authenticates it no more"
	}
	if k.acme {
		return warning(agentKeyOld, "have its client change the key; when it is too old, run brevet agent reenroll "+string(k.agent), "the key of an ACME account of agent %s %s", k.agent, when)
	}
	return warning(agentKeyOld, "have the agent make another one and run brevet agent set "+string(k.agent)+" --key FILE", "a registered key of agent %s %s", k.agent, when)
}

// agentKeyAges are about keys of agents that are nearly too old, or too old. They also note
// when the next one will be.
func (a *Authority) agentKeyAges(tx storage.Tx, now time.Time) (found []api.Reason, err error) {
	all, err := a.agentKeyEnds(tx, now)
	if err != nil {
		return nil, err
	}
	var next time.Time
	more := 0
	for _, k := range all {
		if next.IsZero() && now.Before(k.end) {
			next = k.end
		}
		switch {
		case now.Before(k.warnsFrom()):
		case len(found) == maxNamed:
			more++
		default:
			found = append(found, k.reason(now))
		}
	}
	a.agentKeysEnd.Store(&next)
	if more > 0 {
		found = append(found, warning(agentKeyOld, "see keys_end in brevet agent list --json", "the keys of %d more agents are too old or nearly so", more))
	}
	return found, nil
}
