package authority

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/tokens"
)

// unrecorded returns when the last credential ends that was issued after the backup: it is
// on no record, so no list can name it. If the replaced store cannot tell, that is as late
// as any may end. It returns the zero time if all are on record.
func (r *restore) unrecorded(ctx context.Context, tx storage.Tx) (end time.Time, err error) {
	if r.old != nil {
		if end, err = missing(ctx, r.old, tx, r.now); err == nil {
			return end, nil
		}
	}
	some, err := r.mayHaveOperators(tx)
	if err != nil {
		return end, err
	}
	return r.out.At.Add(max(r.file.LongestCertificate(some), tokens.MaxLifetime)).UTC().Truncate(time.Second), nil
}

// mayHaveOperators reports whether operators may have certificates that were issued after the
// backup.
func (r *restore) mayHaveOperators(tx storage.Tx) (bool, error) {
	if r.out.Unknown != "" || slices.ContainsFunc(r.out.Forgotten, func(n string) bool { return !agents.Name(n).OfAgent() }) {
		return true, nil
	}
	return hasOperators(tx)
}

// LongestCertificate returns the longest that a certificate may live that is on record or is issued
// before brevet.yaml or the operators change.
func LongestCertificate(tx storage.Tx, f *config.File) (time.Duration, error) {
	some, err := hasOperators(tx)
	return f.LongestCertificate(some), err
}

// hasOperators reports whether operators may have certificates. These live longer than those
// of most profiles: see [ca.OperatorLifetime].
func hasOperators(tx storage.Tx) (bool, error) {
	for _, err := range agents.Operators(tx) {
		return true, err
	}
	return false, nil
}

// missing returns the last end of a credential that old has and tx has not.
func missing(ctx context.Context, old storage.DB, tx storage.Tx, now time.Time) (end time.Time, err error) {
	later := func(id agents.CredentialID, err error) error {
		if errors.Is(err, storage.ErrNotFound) {
			if id.Expires().After(end) {
				end = id.Expires()
			}
			return nil
		}
		return err
	}
	err = old.View(ctx, func(had storage.Tx) error {
		for c, err := range ca.Since(had, now) {
			if err == nil && c.Agent != agents.Authority {
				_, missing := ca.Get(tx, c.ID)
				err = later(c.ID, missing)
			}
			if err != nil {
				return err
			}
		}
		for t, err := range tokens.Since(had, now) {
			if err == nil {
				_, missing := tokens.Get(tx, t.ID)
				err = later(t.ID, missing)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return end, err
}

// uncertified returns the active agents and operators that have no live certificate on record:
// they enroll again, unless they are agents that only use keys that are registered for them.
func uncertified(tx storage.Tx, now time.Time) (bots, people []string, err error) {
	certified := map[agents.Name]bool{}
	standing := agents.NewStanding(tx, now)
	for c, err := range ca.Since(tx, now) {
		if err != nil {
			return nil, nil, err
		}
		if _, err := standing.Check(c.Credential); err == nil {
			certified[c.Agent] = true
		}
	}
	active, err := named(tx, func(a agents.Agent) bool { return a.Usable(now) == nil && !certified[a.Name] })
	bots = make([]string, len(active))
	for i, n := range active {
		bots[i] = string(n)
	}
	for o, err := range agents.Operators(tx) {
		if err != nil {
			return nil, nil, err
		}
		person, _ := o.Name.Person()
		_, err = persons.Usable(tx, persons.Name(person))
		switch {
		case err == nil && !certified[o.Name]:
			people = append(people, person)
		case err != nil && !errors.Is(err, persons.ErrSuspended):
			return nil, nil, err
		}
	}
	return bots, people, err
}
