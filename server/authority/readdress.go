package authority

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// minMove is how far ahead the date of a move must lie: all nodes must have followed, and
// caches must have the metadata, before tokens name another issuer.
const minMove = 10 * time.Minute

// A Move is what a move to another URL does.
type Move struct {
	address.Move
	From         string
	Issuer       string    // of tokens until Until
	NewBase      string    // of the plain HTTP URLs in certificates from now on
	Since        time.Time // when the authority moved, if only the date changes
	Advertise    string    // what brevet.yaml says
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
	m.From, m.Issuer, m.Advertise = at.Current(), at.Issuer(now), a.written.Load().Advertise
	if date, waiting := at.Switch(now); m.To == m.From && (!waiting || date.Equal(m.Until)) {
		m.Until, m.Ends, m.Note = date, date, fmt.Sprintf("agents are led to %s already, and tokens are issued by %s", m.To, m.Issuer)
		if waiting {
			m.Note += " until " + date.Format(time.RFC3339)
		}
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
	last := len(at) - 1
	left, until := at[last].Since, now
	if m.To == at.Current() { // only the date changes
		former := at[last-1]
		m.From, m.Base, m.Since = former.URL, former.Base, at[last].Since
		left, until = former.Since, m.Since
	}
	if err := a.survey(tx, &m, left, until, now); err != nil {
		return m, err
	}
	if m.next, err = at.Move(m.Move, now); err != nil {
		return m, err
	}
	former := m.next[len(m.next)-2]
	m.Ends, m.Covers = former.Ends, former.Covers
	return m, nil
}

// Readdress moves the authority to another URL. One transaction records the move. All that
// follows from it is a view of that record: a crash in between changes nothing but when.
func (a *Authority) Readdress(ctx context.Context, by policy.Principal, to string, until time.Time) (m Move, err error) {
	a.moving.Lock()
	defer a.moving.Unlock()
	if err := a.followMove(ctx); err != nil {
		return m, err
	}
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
