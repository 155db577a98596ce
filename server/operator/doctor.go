package operator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

// maxExamples bounds how many of its finds a check names.
const maxExamples = 10

// The pitfalls of identities that are not people, in the order in which operators see them.
const (
	staticKeys    = "static keys"
	sharedKeys    = "shared credentials"
	overPrivilege = "over-privilege"
	noRotation    = "no rotation"
	weakProof     = "weak authentication"
	unattributed  = "unattributed acts"
	orphans       = "orphans"
	slowEnds      = "slow revocation"
	looseTrust    = "loose trust"
	lostKeys      = "key files and backups"
)

// A check looks for one pitfall. find returns what it found, and each of these is what an
// operator knows it by.
type check struct {
	id, pitfall string
	level       api.Level
	text, mend  string
	find        func(*examination) ([]string, error)
}

// checks are all that the doctor looks for. A check of rights that agents do not exercise
// belongs to the over-privilege.
var checks = slices.Concat(keyChecks, rightChecks, ownerChecks, trustChecks)

// CheckIDs returns the identifiers of all checks.
func CheckIDs() (ids []string) {
	for _, c := range checks {
		ids = append(ids, c.id)
	}
	return ids
}

// An examination is one look at the registry. The checks share what they need of it.
type examination struct {
	s        *Service
	tx       storage.Tx
	now      time.Time
	agents   []patient // without the authority, and without those that are decommissioned
	reasons  []api.Reason
	owners   map[string]string // states of operators who own agents, "" for others
	recorded time.Time         // before then, uses may not be on record
}

// A patient is an agent with what several checks ask about it.
type patient struct {
	agents.Agent
	current agents.Current // its latest certificate, if it has not ended
	seen    time.Time
	held    agents.Holdings
	keys    []api.AgentKey // registered
}

// diagnose runs the checks on one snapshot.
func (s *Service) diagnose(ctx context.Context, _ policy.Principal, _ struct{}) (out api.Diagnosis, err error) {
	reasons := s.Authority.HealthLately(ctx)
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		e := &examination{s: s, tx: tx, now: s.Clock.Now(), reasons: reasons}
		if err := e.admit(); err != nil {
			return err
		}
		out = api.Diagnosis{Level: api.OK, Checks: []api.Check{}, Latency: s.latency(e.now)}
		for _, c := range checks {
			found, err := c.find(e)
			if err != nil {
				return fmt.Errorf("check %s: %w", c.id, err)
			}
			shown := api.Check{ID: c.id, Pitfall: c.pitfall, Level: api.OK, Text: c.text, Count: len(found), Examples: found[:min(len(found), maxExamples)], Mend: c.mend}
			if len(found) > 0 {
				shown.Level = c.level
			}
			if shown.Level.Rank() > out.Level.Rank() {
				out.Level = shown.Level
			}
			out.Checks = append(out.Checks, shown)
		}
		return nil
	})
	return out, err
}

// admit reads the agents.
func (e *examination) admit() (err error) {
	if e.recorded, err = agents.Recorded(e.tx); err != nil {
		return err
	}
	for a, err := range agents.All(e.tx) {
		if err != nil {
			return err
		}
		if a.Name == agents.Authority || a.State == agents.Decommissioned {
			continue
		}
		p := patient{Agent: a}
		if p.current, err = currentOf(e.tx, a.Name, e.now); err != nil {
			return err
		}
		if p.seen, err = e.s.lastSeen(e.tx, a, p.current); err != nil {
			return err
		}
		if p.held, err = agents.Held(e.tx, &a, e.now); err != nil {
			return err
		}
		if p.keys, _, err = e.s.registeredKeys(e.tx, a); err != nil {
			return err
		}
		e.agents = append(e.agents, p)
	}
	return nil
}

// those returns a check's find for the agents that it is true of.
func those(is func(*examination, patient) bool) func(*examination) ([]string, error) {
	return func(e *examination) (names []string, err error) {
		for _, p := range e.agents {
			if is(e, p) {
				names = append(names, string(p.Name))
			}
		}
		return names, nil
	}
}

// days are n of 24 hours.
func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
