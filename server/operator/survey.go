package operator

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens"
)

// A holding is a credential, and which kind it is of.
type holding struct {
	agents.Credential
	token bool
}

// live yields the credentials on record of both kinds that may not have
// expired.
func live(tx storage.Tx, now time.Time) iter.Seq2[holding, error] {
	return func(yield func(holding, error) bool) {
		for c, err := range ca.Since(tx, now) {
			if !yield(holding{c.Credential, false}, err) {
				return
			}
		}
		for t, err := range tokens.Since(tx, now) {
			if !yield(holding{t.Credential, true}, err) {
				return
			}
		}
	}
}

// A choice reports whether a credential and its agent are chosen.
type choice func(agents.Agent, agents.Credential) bool

// A finder returns the credentials that may be used in tx at now and are chosen.
// The authority's own are never among them.
type finder func(tx storage.Tx, now time.Time) ([]holding, error)

// everything chooses all credentials.
var everything choice = func(agents.Agent, agents.Credential) bool { return true }

// at is the finder that looks at all records.
func (chosen choice) at(tx storage.Tx, now time.Time) ([]holding, error) {
	s := agents.NewStanding(tx, now)
	return chosen.among(live(tx, now), func(h holding) (agents.Agent, error) { return s.Check(h.Credential) })
}

// revocable is at for revocations. A certificate that may only renew because its issuer is
// compromised can be revoked, too.
func (chosen choice) revocable(tx storage.Tx, now time.Time) ([]holding, error) {
	return chosen.among(live(tx, now), revocable(tx, now))
}

func revocable(tx storage.Tx, now time.Time) func(holding) (agents.Agent, error) {
	s := agents.NewStanding(tx, now)
	return func(h holding) (agents.Agent, error) {
		if h.token {
			return s.Check(h.Credential)
		}
		return ca.Renewable(tx, s, h.Credential)
	}
}

// among returns the chosen ones of those that check accepts.
func (chosen choice) among(all iter.Seq2[holding, error], check func(holding) (agents.Agent, error)) ([]holding, error) {
	var found []holding
	for c, err := range all {
		if err != nil {
			return nil, err
		}
		if c.Agent == agents.Authority {
			continue
		}
		a, err := check(c)
		if err != nil {
			if policy.IsDenial(err) {
				continue
			}
			return nil, err
		}
		if chosen(a, c.Credential) {
			found = append(found, c)
		}
	}
	return found, nil
}

// A survey has the credentials that a choice found on a snapshot. A transaction
// brings it up to date from the audit log, which says what happened in between. So
// writers do not wait while all records are looked at, and a revocation still
// reports exactly what it ended.
type survey struct {
	chosen choice
	found  []holding
	events int64     // size of the audit log at the snapshot
	until  time.Time // the first end of an agent whose credentials were found, if any has one
}

// newSurvey looks at all records, on a snapshot.
func newSurvey(tx storage.Tx, now time.Time, chosen choice) (*survey, error) {
	v := &survey{chosen: chosen}
	var err error
	if v.events, err = audit.Size(tx); err != nil {
		return nil, err
	}
	v.found, err = choice(func(a agents.Agent, c agents.Credential) bool {
		if !chosen(a, c) {
			return false
		}
		if !a.Expires.IsZero() && (v.until.IsZero() || a.Expires.Before(v.until)) {
			v.until = a.Expires
		}
		return true
	}).revocable(tx, now)
	return v, err
}

// at is a finder for a tx that is no earlier than the snapshot.
// If an operator has changed something meanwhile, or an agent came to its end,
// it does look at all records, in tx.
func (v *survey) at(tx storage.Tx, now time.Time) ([]holding, error) {
	fresh, gone, err := v.since(tx)
	if errors.Is(err, errOutdated) || !v.until.IsZero() && !now.Before(v.until) {
		return v.chosen.revocable(tx, now)
	}
	if err != nil {
		return nil, err
	}
	left := slices.DeleteFunc(slices.Clone(v.found), func(c holding) bool { return gone[c.ID] || !now.Before(c.ID.Expires()) })
	more, err := v.chosen.among(fresh, revocable(tx, now))
	return append(left, more...), err
}

// errOutdated says that more has happened than credentials made and revoked
// one by one.
var errOutdated = errors.New("the survey is out of date")

// since returns the credentials that were made since the snapshot, and those
// that were revoked.
func (v *survey) since(tx storage.Tx) (made iter.Seq2[holding, error], revoked map[agents.CredentialID]bool, err error) {
	var list []holding
	revoked = map[agents.CredentialID]bool{}
	for e, err := range audit.Since(tx, v.events) {
		if _, sealed := errors.AsType[*audit.SealedError](err); sealed {
			return nil, nil, errOutdated
		}
		if err != nil {
			return nil, nil, err
		}
		switch {
		case e.Decision == audit.Deny, strings.HasPrefix(string(e.Action), "acme."), // of accounts and orders
			e.Action == audit.AuthorityBackup, e.Action == audit.HealthChange:
			continue
		}
		id, err := agents.ParseCredentialID(e.Credential)
		if err != nil {
			return nil, nil, errOutdated
		}
		switch e.Action {
		case audit.CertificateIssue:
			c, err := ca.Get(tx, id)
			if err != nil {
				return nil, nil, err
			}
			list = append(list, holding{c.Credential, false})
		case audit.TokenMint:
			t, err := tokens.Get(tx, id)
			if err != nil {
				return nil, nil, err
			}
			list = append(list, holding{t.Credential, true})
		case audit.CertificateRevoke, audit.TokenRevoke:
			revoked[id] = true
		default:
			return nil, nil, errOutdated
		}
	}
	return func(yield func(holding, error) bool) {
		for _, c := range list {
			if !yield(c, nil) {
				return
			}
		}
	}, revoked, nil
}
