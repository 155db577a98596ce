// Package crl builds, signs and publishes certificate revocation lists (RFC
// 5280, section 5). A list is a view: it is computed from the certificates on
// record and the cutoffs of package agents, see [Publisher.Publish]. It is
// published inside each call that revokes, on time, and at the start.
//
// Every certificate of one issuer is covered by one complete list. Delta,
// indirect and partitioned CRLs are not implemented.
package crl

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
)

// Lifetime is the time from thisUpdate to nextUpdate: how long a relying party
// may go on with a list it has when it cannot reach this authority.
const Lifetime = 10 * time.Minute

// Interval is the time between regular publications: half of the lifetime, so
// that one may fail.
const Interval = Lifetime / 2

// A CRL is a published list. All but its DER is stored, as JSON, one for each
// issuer: the number never goes back.
type CRL struct {
	Issuer     string    `json:"issuer"` // hexadecimal subject key identifier
	Number     int64     `json:"number"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
	Regular    time.Time `json:"regular"` // thisUpdate of the last regular publication
	Entries    int       `json:"entries"`
	DER        []byte    `json:"-"` // made anew at each start
	sameDate   bool      // the list before it has the same thisUpdate
}

const table = storage.Table[CRL]("crl")

// A Publisher publishes the lists of the issuers of one CA.
type Publisher struct {
	// Date returns what lists are dated, which others compare with their own
	// clocks. nil means by the clock that everything else goes by.
	Date func() time.Time
	// Doubt returns how far ahead these clocks may be: what expired less long ago
	// stays on the lists. nil means not at all.
	Doubt func() time.Duration

	db  storage.DB
	ca  *ca.CA
	now func() time.Time

	current atomic.Pointer[[]*CRL]

	mu      sync.Mutex
	running *round // the publication under way
	waiting *round // the one that begins when it ends
}

// A round is one publication, and whoever waits for it.
type round struct {
	regular bool
	done    chan struct{}
	crls    []*CRL
	err     error
}

// NewPublisher returns a Publisher. It serves nothing until its first Publish.
func NewPublisher(db storage.DB, authority *ca.CA, now func() time.Time) *Publisher {
	return &Publisher{db: db, ca: authority, now: now}
}

// Current returns the lists last published, the active issuer's first.
func (p *Publisher) Current() []*CRL {
	if crls := p.current.Load(); crls != nil {
		return *crls
	}
	return nil
}

// Publish computes, signs and publishes lists that reflect every revocation
// committed before the call, one for each issuer, the active one's first. Calls that meet a publication under way share the
// next one, so that a storm of revocations costs few lists.
func (p *Publisher) Publish(ctx context.Context) ([]*CRL, error) { return p.publish(ctx, false) }

// PublishRegular is Publish on time: the lists of which RFC 5280, section 3.3
// speaks when it lets an entry go.
func (p *Publisher) PublishRegular(ctx context.Context) ([]*CRL, error) { return p.publish(ctx, true) }

func (p *Publisher) publish(ctx context.Context, regular bool) ([]*CRL, error) {
	p.mu.Lock()
	r := p.waiting
	if r == nil {
		r = &round{done: make(chan struct{})}
		if p.running == nil {
			p.running = r
			go p.run(r)
		} else {
			p.waiting = r
		}
	}
	r.regular = r.regular || regular
	p.mu.Unlock()
	select {
	case <-r.done:
		return r.crls, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the CRL: %w", ctx.Err())
	}
}

// run does r and then the round that gathered meanwhile.
func (p *Publisher) run(r *round) {
	for r != nil {
		p.mu.Lock()
		regular := r.regular
		p.mu.Unlock()
		r.crls, r.err = p.buildAll(regular)
		close(r.done)
		p.mu.Lock()
		p.running, p.waiting = p.waiting, nil
		r = p.running
		p.mu.Unlock()
	}
}

// buildAll makes the lists of all issuers. Only one call runs at a time.
func (p *Publisher) buildAll(regular bool) ([]*CRL, error) {
	var crls []*CRL
	for _, issuer := range p.ca.Issuers() {
		crl, err := p.build(issuer, regular)
		if err != nil {
			return nil, fmt.Errorf("publishing the CRL of %s: %w", issuer.ID, err)
		}
		crls = append(crls, crl)
	}
	p.current.Store(&crls)
	return crls, nil
}

// build makes one list: computed on a snapshot, signed, then its number stored
// before anybody sees it.
func (p *Publisher) build(issuer *ca.Issuer, regular bool) (*CRL, error) {
	// Several callers may wait for it; and a full disk does not keep a list back,
	// since those who rely on it would not learn of a revocation.
	ctx := storage.Urgent(context.Background())
	now := p.now().UTC()
	date, doubt := now, time.Duration(0)
	if p.Date != nil {
		date = p.Date().UTC()
	}
	if p.Doubt != nil {
		doubt = p.Doubt()
	}
	date = date.Truncate(time.Second)
	var last CRL
	var list List
	err := p.db.View(ctx, func(tx storage.Tx) (err error) {
		last, err = table.Get(tx, issuer.ID)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		list = List{Number: last.Number + 1, ThisUpdate: date, NextUpdate: date.Add(Lifetime)}
		from := date
		if last.Regular.Before(from) {
			from = last.Regular
		}
		return list.fill(tx, issuer.ID, from.Add(-doubt), now)
	})
	if err != nil {
		return nil, err
	}
	crl := &CRL{
		Issuer: issuer.ID, Number: list.Number, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate,
		Regular: last.Regular, Entries: list.Len, sameDate: last.ThisUpdate.Equal(date),
	}
	if regular {
		crl.Regular = date
	}
	if crl.DER, err = list.Sign(issuer); err != nil {
		return nil, err
	}
	return crl, p.db.Update(ctx, func(tx storage.Tx) error { return table.Put(tx, crl.Issuer, *crl) })
}

// fill lists the certificates of the issuer that something has killed, and that
// expire at from or later: one that expired stays until a regular list was
// published after that (RFC 5280, section 3.3).
func (l *List) fill(tx storage.Tx, issuer string, from, now time.Time) error {
	standing := agents.NewStanding(tx, now)
	for c, err := range ca.Since(tx, from) {
		if err != nil {
			return err
		}
		if c.Issuer != issuer || c.ID.Expires().Before(from) {
			continue
		}
		cutoff, dead, err := standing.Ended(c.Credential)
		if err != nil {
			return err
		}
		if dead {
			if cutoff.Date().After(l.ThisUpdate) { // as of later than now, or the clock was set back
				cutoff.Made = l.ThisUpdate
			}
			if err := l.Add(c.ID, cutoff); err != nil {
				return err
			}
		}
	}
	return nil
}

// Run publishes regularly until ctx is done. A list that could not be
// published is tried again soon, and failed is told of it.
func (p *Publisher) Run(ctx context.Context, failed func(error)) {
	wait := Interval
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = Interval
		if _, err := p.PublishRegular(ctx); err != nil && ctx.Err() == nil {
			failed(err)
			wait = 10 * time.Second
		}
	}
}

// leap is added to the numbers of the lists when an older state of the store
// is restored: more lists than were published since it was saved.
const leap = 1 << 20

// Leap makes the next lists have numbers that no list had before, although tx
// may have forgotten which those were (RFC 5280, section 5.2.3).
func Leap(tx storage.Tx) error {
	var all []CRL
	for c, err := range table.Scan(tx, "") {
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	for _, c := range all {
		c.Number += leap
		if err := table.Put(tx, c.Issuer, c); err != nil {
			return err
		}
	}
	return nil
}
