// Package crl builds, signs and publishes certificate revocation lists (RFC
// 5280, section 5). A list is a view: it is computed from the certificates on
// record and the cutoffs of package agents, see [Publisher.Publish]. It is published
// inside each call that revokes, at regular intervals, and at the start. Several
// publishers may share one store: the number of a list is compared and taken in
// the transaction that stores it.
//
// Every certificate of one issuer is covered by one complete list. The issuers are
// covered by the lists of their roots, which are stored, because a root's key may be
// kept elsewhere: see [Publisher.PublishRoots]. Servers that load a file get lists of
// their own, with the same entries: see [Publisher.Bundle]. Delta, indirect and partitioned CRLs are
// not implemented.
package crl

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
)

// Lifetime is the time from the making of a list to its nextUpdate: how long a relying
// party may use its copy when it cannot reach this authority.
const Lifetime = 10 * time.Minute

// Interval is the time between regular publications: half of the lifetime, so
// that one may fail.
const Interval = Lifetime / 2

// A Publisher publishes the lists of the issuers of one CA.
type Publisher struct {
	db    storage.DB
	ca    *ca.CA
	clock *clock.Clock

	// Answers makes the OCSP answers that roots sign along with their lists; nil for none.
	Answers Answers

	// ForFiles is the time from the making of a list for files to its nextUpdate, see
	// [Publisher.Bundle]; 0 means a day.
	ForFiles time.Duration

	current atomic.Pointer[[]*CRL]
	wanted  atomic.Bool // lists for files are, see Bundle
	files   atomic.Pointer[[]*forFiles]
	bundle  bundled
	roots   atomic.Pointer[[]RootState]
	last    atomic.Pointer[[]*CRL] // of issuers whose keys are destroyed
	signing sync.Mutex             // one call of PublishRoots at a time

	mu      sync.Mutex
	running *round // the current publication
	waiting *round // the next one
}

// A round is one publication and its waiting callers.
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

// Publish computes, signs and publishes lists that reflect every revocation committed
// before the call, one for each issuer, the active one's first. Calls during a
// publication share the next one, so that a storm of revocations costs few lists.
func (p *Publisher) Publish(ctx context.Context) ([]*CRL, error) { return p.publish(ctx, false) }

// PublishRegular is Publish at the regular interval. After such a list, an entry of an
// expired certificate may be dropped (RFC 5280, section 3.3).
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

// run does r and then the round that has gathered callers meanwhile.
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

// maxAttempts bounds the attempts to publish while others publish over the same
// store. An attempt fails only if another publisher's succeeded.
const maxAttempts = 50

// buildAll makes the lists of all issuers, again if another publisher was faster.
// Only one call runs at a time.
func (p *Publisher) buildAll(regular bool) ([]*CRL, error) {
	var err error
	for range maxAttempts {
		began := time.Now()
		var crls []*CRL
		var files []*forFiles
		if crls, files, err = p.build(regular); err == nil {
			p.current.Store(&crls)
			if files != nil {
				p.files.Store(&files)
			}
			return crls, nil
		}
		if !errors.Is(err, errOvertaken) {
			break
		}
		time.Sleep(rand.N(time.Since(began) + time.Millisecond)) // so that two do not stay in step
	}
	return nil, fmt.Errorf("publishing the CRLs: %w", err)
}

// build makes the lists of all issuers: computed on one snapshot, signed outside of any
// transaction, then stored before anybody sees them, if they still follow the last ones.
// The lists for files come before the others, so that the highest number is in the record.
func (p *Publisher) build(regular bool) ([]*CRL, []*forFiles, error) {
	// Several callers may wait for the result. A full disk must not hold a list back,
	// or relying parties would not learn of a revocation.
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
		return nil, nil, err
	}
	files, err := p.signForFiles(drafts)
	if err != nil {
		return nil, nil, err
	}
	crls := make([]*CRL, len(drafts))
	for i, d := range drafts {
		if crls[i], err = d.sign(regular); err != nil {
			return nil, nil, fmt.Errorf("signing that of %s: %w", d.issuer.ID, err)
		}
	}
	return crls, files, p.db.Update(ctx, func(tx storage.Tx) error { return record(tx, drafts, crls) })
}

// Run publishes regularly until ctx is done. After a failure it calls failed and soon
// tries again.
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
