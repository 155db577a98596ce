package operator

import (
	"errors"
	"iter"
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
	late  bool // it is a certificate that has expired and may renew

	renews time.Time // when a certificate cannot renew any more
}

// live yields the credentials on record of both kinds that may not have
// expired.
func live(tx storage.Tx, now time.Time) iter.Seq2[holding, error] {
	return func(yield func(holding, error) bool) {
		for c, err := range ca.Since(tx, now) {
			if !yield(holding{Credential: c.Credential}, err) {
				return
			}
		}
		for t, err := range tokens.Since(tx, now) {
			if !yield(holding{Credential: t.Credential, token: true}, err) {
				return
			}
		}
	}
}

// A choice reports whether a credential and its agent are chosen.
type choice func(agents.Agent, agents.Credential) bool

// A finder returns the credentials that may be used in tx at now and are chosen.
// The authority's own are never among them, nor those of operators, unless it is for one.
type finder func(tx storage.Tx, now time.Time) ([]holding, error)

// everything chooses all credentials.
var everything choice = func(agents.Agent, agents.Credential) bool { return true }

// at is the finder that looks at all records.
func (chosen choice) at(tx storage.Tx, now time.Time) ([]holding, error) {
	s := agents.NewStanding(tx, now)
	return chosen.among(live(tx, now), agents.Name.OfAgent, func(h holding) (agents.Agent, error) { return s.Check(h.Credential) })
}

// A revocable finds what can be revoked. A certificate that may only renew can be, too: its
// issuer is compromised, or it has expired within the window.
type revocable struct {
	chosen choice
	grace  time.Duration // the authority's window
	of     agents.Name   // of this operator; "" means those of agents
}

// may reports whether a credential of n can be chosen at all.
func (r revocable) may(n agents.Name) bool {
	if r.of == "" {
		return n.OfAgent()
	}
	return n == r.of
}

// at is the finder that looks at all records.
func (r revocable) at(tx storage.Tx, now time.Time) ([]holding, error) {
	return r.among(tx, now, func(yield func(holding, error) bool) {
		for h, err := range live(tx, now) {
			if !yield(h, err) {
				return
			}
		}
		for c, err := range agents.Expired(tx, now.Truncate(time.Hour)) { // live has those of this hour
			if !yield(holding{Credential: c.Credential}, err) {
				return
			}
		}
	})
}

// among returns those among all that can be revoked.
func (r revocable) among(tx storage.Tx, now time.Time, all iter.Seq2[holding, error]) ([]holding, error) {
	s := agents.NewStanding(tx, now)
	marked := func(yield func(holding, error) bool) {
		for h, err := range all {
			if h.late = !h.token && h.expired(now); !yield(h, err) {
				return
			}
		}
	}
	found, err := r.chosen.among(marked, r.may, func(h holding) (agents.Agent, error) {
		switch {
		case h.token:
			return s.Check(h.Credential)
		case h.late:
			return s.MayRenew(h.Credential, r.grace)
		}
		return ca.Renewable(tx, s, h.Credential)
	})
	for i := range found {
		if err == nil {
			err = found[i].mayRenew(tx, r.grace)
		}
	}
	return found, err
}

// mayRenew notes when a certificate cannot renew any more.
func (h *holding) mayRenew(tx storage.Tx, grace time.Duration) error {
	if h.token {
		return nil
	}
	a, err := agents.Get(tx, h.Agent)
	h.renews = h.ID.Expires().Add(a.RenewGraceOf(grace))
	return err
}

func (h holding) expired(now time.Time) bool { return !now.Before(h.ID.Expires()) }

// among returns the chosen ones of those that check accepts, of the names that may be chosen.
func (chosen choice) among(all iter.Seq2[holding, error], may func(agents.Name) bool, check func(holding) (agents.Agent, error)) ([]holding, error) {
	var found []holding
	for c, err := range all {
		if err != nil {
			return nil, err
		}
		if !may(c.Agent) {
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
	revocable
	found  []holding
	events int64     // size of the audit log at the snapshot
	until  time.Time // the first end of an agent whose credentials were found, if any has one
}

// newSurvey looks at all records, on a snapshot.
func newSurvey(tx storage.Tx, now time.Time, r revocable) (*survey, error) {
	v := &survey{revocable: r}
	var err error
	if v.events, err = audit.Size(tx); err != nil {
		return nil, err
	}
	r.chosen = func(a agents.Agent, c agents.Credential) bool {
		if !v.chosen(a, c) {
			return false
		}
		if !a.Expires.IsZero() && (v.until.IsZero() || a.Expires.Before(v.until)) {
			v.until = a.Expires
		}
		return true
	}
	v.found, err = r.at(tx, now)
	return v, err
}

// at is a finder for a tx that is no earlier than the snapshot.
// If an operator has changed something meanwhile, or an agent came to its end,
// it does look at all records, in tx.
func (v *survey) at(tx storage.Tx, now time.Time) ([]holding, error) {
	fresh, gone, err := v.since(tx)
	if errors.Is(err, errOutdated) || !v.until.IsZero() && !now.Before(v.until) {
		return v.revocable.at(tx, now)
	}
	if err != nil {
		return nil, err
	}
	var left []holding
	more, err := v.among(tx, now, func(yield func(holding, error) bool) {
		for h, err := range fresh {
			if !yield(h, err) {
				return
			}
		}
		for _, h := range v.found {
			switch {
			case gone[h.ID]:
			case !h.expired(now):
				left = append(left, h)
			case !yield(h, nil): // it may have left the list meanwhile
				return
			}
		}
	})
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
			e.Action == audit.AuthorityBackup, e.Action == audit.AuditExport, e.Action == audit.HealthChange, e.Action == audit.ConfigReload, e.Action == audit.AuthorityReaddress,
			strings.HasPrefix(string(e.Action), "operator.") && v.of == "":
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
			list = append(list, holding{Credential: c.Credential})
		case audit.TokenMint:
			t, err := tokens.Get(tx, id)
			if err != nil {
				return nil, nil, err
			}
			list = append(list, holding{Credential: t.Credential, token: true})
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
