package authority

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// stragglers is for how long after a move a certificate may still be issued that names the
// old base URL: it was being signed, or another node has not followed yet.
const stragglers = time.Minute

// minMove is how far ahead the date of a move must lie: all nodes must have followed, and
// caches must have the metadata, before tokens name another issuer.
const minMove = 10 * time.Minute

// OpenAddress returns where the authority is: where brevet.yaml says, or where an operator
// moved it from there.
func OpenAddress(ctx context.Context, db storage.DB, f *config.File) (*address.Book, error) {
	var l address.List
	err := db.View(ctx, func(tx storage.Tx) (err error) {
		l, err = address.Load(tx)
		return err
	})
	return address.NewBook(l.Of(f.Advertise)), err
}

// BaseURL returns the base of the plain HTTP URLs in new certificates.
func (a *Authority) BaseURL() string { return a.File.BaseURLAt(a.Address.Current()) }

// NamesOf returns the names of the server if it follows f: those at former addresses are
// among them as long as something needs them.
func (a *Authority) NamesOf(f *config.File) agents.Change {
	return f.NamesAt(a.Address.List().InUse(a.Clock.Now()))
}

// FollowNames gives the server the names that f says, which are registered already.
func (a *Authority) FollowNames(ctx context.Context, f *config.File) error {
	a.written.Store(f)
	a.Own.SetNames(a.NamesOf(f))
	return a.Own.Renew(ctx)
}

// A Move is what a move to another URL does.
type Move struct {
	address.Move
	From         string
	Issuer       string    // of tokens until Until
	NewBase      string    // of the plain HTTP URLs in certificates from now on
	Ends         time.Time // when the old URL is not needed any more
	Certificates int       // of agents and operators, that name the old base
	Note         string    // why there is nothing to do, if so
	next         address.List
}

// PlanMove says what Readdress would do, and changes nothing.
func (a *Authority) PlanMove(ctx context.Context, to string, until time.Time) (m Move, err error) {
	now := a.Clock.Now()
	if m.To, err = a.File.ParseMove(to); err != nil {
		return m, fmt.Errorf("%w URL: %v", agents.ErrInvalid, err)
	}
	if m.Until = until.UTC().Truncate(time.Second); m.Until.Before(now.Add(minMove)) {
		return m, fmt.Errorf("%w date: want one that lies %s ahead or more", agents.ErrInvalid, clock.FormatDuration(minMove))
	}
	at := a.Address.List()
	m.From, m.Issuer = at.Current(), at.Issuer(now)
	if date, waiting := at.Switch(now); m.To == m.From && (!waiting || date.Equal(m.Until)) {
		m.Until, m.Ends, m.Note = date, date, fmt.Sprintf("agents are led to %s already, and tokens are issued by %s", m.To, m.Issuer)
		return m, nil
	}
	m.Base, m.NewBase, m.Moved = a.BaseURL(), a.File.BaseURLAt(m.To), now.Add(stragglers)
	asked := m
	err = a.DB.View(ctx, func(tx storage.Tx) (err error) {
		m, err = a.planned(tx, asked, at, now)
		return err
	})
	return m, err
}

// planned completes what was asked for by what is on record.
func (a *Authority) planned(tx storage.Tx, m Move, at address.List, now time.Time) (_ Move, err error) {
	m.Certificates = 0
	if err := a.survey(tx, &m, now); err != nil {
		return m, err
	}
	if m.next, err = at.Move(m.Move, now); err != nil {
		return m, err
	}
	former := m.next[len(m.next)-2]
	m.Ends, m.Covers = former.Ends, former.Covers
	if m.To == m.From { // only the date changes
		m.From, m.Base = former.URL, former.Base
	}
	return m, nil
}

// survey finds when the last certificate ends that was issued before a move, and when the
// last of their agents and operators cannot come back to the old URL any more.
func (a *Authority) survey(tx storage.Tx, m *Move, now time.Time) error {
	longest := a.File.LongestProfile()
	if some, err := hasOperators(tx); err != nil {
		return err
	} else if some {
		longest = max(longest, ca.OperatorLifetime)
	}
	last := m.Moved.Add(longest)
	for c, err := range ca.Since(tx, now) {
		switch {
		case err != nil:
			return err
		case c.Agent == agents.Authority:
			continue
		case c.ID.Expires().After(last):
			last = c.ID.Expires()
		}
		m.Certificates++
	}
	var grace time.Duration
	for one, err := range agents.All(tx) {
		if err != nil {
			return err
		}
		grace = max(grace, one.RenewGraceOf(a.File.RenewGrace))
	}
	m.Covers, m.Needed = last, last.Add(grace)
	if m.Base == m.NewBase {
		m.Covers, m.Certificates = time.Time{}, 0
	}
	return nil
}

// Readdress moves the authority to another URL. One transaction records the move. All that
// follows from it is a view of that record: a crash in between changes nothing but when.
func (a *Authority) Readdress(ctx context.Context, by policy.Principal, to string, until time.Time) (m Move, err error) {
	a.moving.Lock()
	defer a.moving.Unlock()
	if m, err = a.PlanMove(ctx, to, until); err != nil || m.Note != "" {
		return m, err
	}
	q := policy.Query{Principal: by, Action: audit.AuthorityReaddress, Subject: string(agents.Authority), Time: a.Clock.Now(), Details: audit.Details{From: m.From, To: m.To}}
	err = a.Policy.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		done := policy.Done{Reasons: []string{fmt.Sprintf("tokens are issued by %s until %s", m.Issuer, m.Until.Format(time.RFC3339))}, Details: &audit.Details{From: m.From, To: m.To}}
		on, err := address.Load(tx)
		if err != nil {
			return done, err
		}
		at := on.Of(a.File.Advertise)
		if !reflect.DeepEqual(at, a.Address.List()) {
			return done, fmt.Errorf("%w: the authority was moved meanwhile", agents.ErrTransition)
		}
		if m, err = a.planned(tx, m, at, q.Time); err != nil { // an agent may have come, or a longer grace
			return done, err
		}
		names := a.written.Load().NamesAt(m.next.InUse(q.Time))
		return done, errors.Join(a.Register(tx, names, q.Time), m.next.Save(tx))
	}})
	if err != nil {
		return m, err
	}
	return m, a.followMove(ctx)
}

// FollowAddress follows a move that another node has recorded, and the end of a former
// address.
func (a *Authority) FollowAddress(ctx context.Context) error {
	a.moving.Lock()
	defer a.moving.Unlock()
	return a.followMove(ctx)
}

// followMove brings all views of the address up to date. The caller holds moving.
func (a *Authority) followMove(ctx context.Context) error {
	at, err := OpenAddress(ctx, a.DB, a.File)
	if err != nil {
		return err
	}
	moved := !reflect.DeepEqual(at.List(), a.Address.List())
	if a.Address.Set(at.List()); moved {
		if err := a.CA.Readdress(a.BaseURL()); err != nil {
			return err
		}
	}
	names := a.NamesOf(a.written.Load())
	if a.Own.Has(names) {
		return nil
	}
	if !moved { // a former address has ended
		err := a.record(ctx, audit.AuthorityReaddress, a.Clock.Now(), "nothing needs a former address any more", func(tx storage.Tx) error {
			return a.Register(tx, names, a.Clock.Now())
		})
		if err != nil {
			return err
		}
	}
	a.Own.SetNames(names)
	return a.Own.Renew(ctx)
}

// A Naming is a CA certificate that names the base URL of a former address.
type Naming struct {
	ID      string
	Purpose keys.Purpose
	Ends    time.Time
}

// Named returns the certificates of CAs at work that name a base URL.
func (a *Authority) Named(ctx context.Context, base string) (found []Naming, err error) {
	err = a.DB.View(ctx, func(tx storage.Tx) error {
		_, issuers, err := ca.Authorities(tx)
		for _, i := range issuers {
			k, err := keys.Get(tx, i.ID)
			if err != nil {
				return err
			}
			c, err := x509.ParseCertificate(i.Certificate)
			if err != nil {
				return err
			}
			if k.State != keys.StateRetired && names(c, base) {
				found = append(found, Naming{i.ID, k.Purpose, c.NotAfter})
			}
		}
		return err
	})
	return found, err
}

// names reports whether a URL in c is below base.
func names(c *x509.Certificate, base string) bool {
	for _, list := range [][]string{c.CRLDistributionPoints, c.OCSPServer, c.IssuingCertificateURL} {
		for _, u := range list {
			if strings.HasPrefix(u, base+"/") {
				return true
			}
		}
	}
	return false
}
