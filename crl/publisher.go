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

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
)

// Lifetime is the time from a list's making to nextUpdate: how long a relying party
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
	Regular    time.Time `json:"regular"` // when the last regular publication was made
	Entries    int       `json:"entries"`
	DER        []byte    `json:"-"` // made anew at each start
	sameDate   bool      // the list before it has the same thisUpdate
}

const table = storage.Table[CRL]("crl")

// A Publisher publishes the lists of the issuers of one CA.
type Publisher struct {
	db    storage.DB
	ca    *ca.CA
	clock *clock.Clock

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
func NewPublisher(db storage.DB, authority *ca.CA, clk *clock.Clock) *Publisher {
	return &Publisher{db: db, ca: authority, clock: clk}
}

// Current returns the lists last published, the active issuer's first.
func (p *Publisher) Current() []*CRL {
	if crls := p.current.Load(); crls != nil {
		return *crls
	}
	return nil
}

// Publish computes, signs and publishes lists that reflect every revocation
// committed before the call, one for each issuer, the active one's first. Calls that
// meet a publication under way share the next one, so that a storm of revocations
// costs few lists.
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

// buildAll makes the lists of all issuers: computed on one snapshot, signed,
// then their numbers stored before anybody sees them. Only one call runs at a
// time.
func (p *Publisher) buildAll(regular bool) ([]*CRL, error) {
	// Several callers may wait for it; and a full disk does not keep a list back,
	// since those who rely on it would not learn of a revocation.
	ctx := storage.Urgent(context.Background())
	now, doubt := p.clock.Now().UTC(), p.clock.Doubt() // what expired less than doubt ago stays on the lists
	date := p.clock.Shown().UTC().Truncate(time.Second)
	var drafts []*draft
	err := p.db.View(ctx, func(tx storage.Tx) (err error) {
		drafts = nil
		for _, issuer := range p.ca.Issuers() {
			d, err := newDraft(tx, issuer, date, doubt)
			if err != nil {
				return err
			}
			drafts = append(drafts, d)
		}
		return fill(tx, drafts, now)
	})
	if err != nil {
		return nil, fmt.Errorf("publishing the CRLs: %w", err)
	}
	crls := make([]*CRL, len(drafts))
	for i, d := range drafts {
		if crls[i], err = d.sign(regular); err != nil {
			return nil, fmt.Errorf("publishing the CRL of %s: %w", d.issuer.ID, err)
		}
	}
	err = p.db.Update(ctx, func(tx storage.Tx) error {
		var errs []error
		for _, c := range crls {
			errs = append(errs, table.Put(tx, c.Issuer, *c))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return nil, fmt.Errorf("publishing the CRLs: %w", err)
	}
	p.current.Store(&crls)
	return crls, nil
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
