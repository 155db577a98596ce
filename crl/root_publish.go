package crl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
)

// A RootState is a root with what is published of it.
type RootState struct {
	RootLists
	Purpose   string // of its key
	Online    bool   // its key is here
	Late      bool   // the lists do not say of its issuers what the store says
	Withdrawn bool   // it signs no more; its last lists are published until they end

	// Unlisted are the identifiers of issuers that are revoked, and are not on the list that
	// is published.
	Unlisted []string
}

// Roots returns the roots that are not withdrawn, as of the last [Publisher.PublishRoots].
func (p *Publisher) Roots() []RootState {
	return slices.DeleteFunc(slices.Clone(p.allRoots()), func(r RootState) bool { return r.Withdrawn })
}

func (p *Publisher) allRoots() []RootState {
	if all := p.roots.Load(); all != nil {
		return *all
	}
	return nil
}

// Answer returns the OCSP answer of a root to a question with this DER CertID, and the
// list that says the same. It is nil if no root has one that may be used now.
func (p *Publisher) Answer(certID []byte) (*Answer, *RootState) {
	now := p.clock.Shown()
	all := p.allRoots()
	for n, r := range all {
		for i, a := range r.Current.Answers {
			if bytes.Equal(a.CertID, certID) && now.Before(r.Current.NextUpdate) {
				return &r.Current.Answers[i], &all[n]
			}
		}
	}
	return nil, nil
}

// PublishRoots has the roots sign that are due, or all whose keys are here, and
// publishes what the store then has of each, and the last lists of other issuers. A root whose key is not here
// is not an error: the list that it signed ahead takes over when half of the last
// one's lifetime is over.
func (p *Publisher) PublishRoots(ctx context.Context, all bool) error {
	p.signing.Lock()
	defer p.signing.Unlock()
	var err error
	for range maxAttempts {
		if err = p.publishRoots(storage.Urgent(ctx), all); !errors.Is(err, errOvertaken) {
			break
		}
	}
	return err
}

// A rootDraft is a root whose next lists are being made.
type rootDraft struct {
	ca.Root
	last  RootLists
	about []Statement
	facts []byte
}

func (p *Publisher) publishRoots(ctx context.Context, all bool) error {
	date := p.clock.Shown().UTC().Truncate(time.Second)
	var drafts []rootDraft
	var last []*CRL
	err := p.db.View(ctx, func(tx storage.Tx) (err error) {
		if last, err = lastLists(tx, date); err == nil {
			drafts, err = draftRoots(tx)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("publishing the CRLs of roots: %w", err)
	}
	var states []RootState
	var errs []error
	for _, d := range drafts {
		withdrawn := !d.Withdrawn.IsZero()
		online, err := p.ca.Online(d.Root)
		online = online && !withdrawn
		errs = append(errs, err)
		next := d.last
		if all && online || d.last.due(d.facts, date) {
			next, err = p.nextRoot(d, online, date)
			errs = append(errs, err)
		}
		if next.Number != d.last.Number {
			if err := p.db.Update(ctx, func(tx storage.Tx) error { return errors.Join(d.unchanged(tx), next.Replace(tx, d.last)) }); err != nil {
				return fmt.Errorf("storing the CRL of root %s: %w", d.ID, err)
			}
		}
		next.Root = d.ID
		state := RootState{RootLists: next.at(date), Purpose: string(d.Root.Key.Purpose), Online: online, Late: !withdrawn && !bytes.Equal(next.Facts, d.facts), Withdrawn: withdrawn}
		if state.Late {
			state.Unlisted = state.unlisted(d.Root, d.about)
		}
		states = append(states, state)
	}
	p.last.Store(&last)
	p.roots.Store(&states)
	return errors.Join(errs...)
}

func draftRoots(tx storage.Tx) (drafts []rootDraft, err error) {
	roots, err := ca.Roots(tx)
	if err != nil {
		return nil, err
	}
	for _, r := range roots {
		d := rootDraft{Root: r}
		if d.last, err = lastOf(tx, r.ID); err != nil {
			return nil, err
		}
		if d.about, err = Statements(tx, r.Issued); err != nil {
			return nil, err
		}
		if d.facts, err = digest(d.about); err != nil {
			return nil, err
		}
		drafts = append(drafts, d)
	}
	return drafts, nil
}

// unchanged fails if the store says something else of the root's issuers than when the draft was
// made: an issuer that was revoked meanwhile must be on the next list.
func (d rootDraft) unchanged(tx storage.Tx) error {
	now, err := draftRoots(tx)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(now, func(o rootDraft) bool { return o.ID == d.ID }); i < 0 || !bytes.Equal(now[i].facts, d.facts) || !now[i].Withdrawn.Equal(d.Withdrawn) {
		return fmt.Errorf("%w: the issuers of root %s changed", errOvertaken, d.ID)
	}
	return nil
}

// nextRoot returns the lists that come after the last ones, which are the last ones if
// nobody can sign. It returns usable lists with an error, too.
func (p *Publisher) nextRoot(d rootDraft, online bool, date time.Time) (RootLists, error) {
	if !online {
		return d.last, nil
	}
	return p.signRoot(d, date)
}

// signRoot does not sign by a clock that is wrong: these lists would live too long.
func (p *Publisher) signRoot(d rootDraft, date time.Time) (RootLists, error) {
	if err := p.clock.Check(); err != nil {
		return d.last, fmt.Errorf("the CRL of root %s is not signed: %w", d.ID, err)
	}
	root, err := p.ca.Open(d.Root)
	if err != nil {
		return d.last, fmt.Errorf("the CRL of root %s is not signed: %w", d.ID, err)
	}
	return SignRoot(root, d.about, d.last, date, p.Answers)
}
