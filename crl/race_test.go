package crl_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestPublishersShareOneStore: of several publishers over one store, as several
// nodes have, no two publish different lists with one number, none goes back, and a
// list has all that those with lower numbers have.
func TestPublishersShareOneStore(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	w.Add("bot", agents.Change{})
	const rounds = 40
	publishers := []*crl.Publisher{w.Publisher, crl.NewPublisher(w.DB, w.CA, w.Clock()), crl.NewPublisher(w.DB, w.CA, w.Clock())}
	published := make([][]*crl.CRL, len(publishers))
	var wait sync.WaitGroup
	for i, p := range publishers {
		creds := make([]agents.Credential, rounds)
		for n := range creds {
			creds[n] = w.issue("bot")
		}
		wait.Go(func() {
			for _, c := range creds {
				if _, err := w.CA.Revoke(t.Context(), catest.Operator, c.ID, agents.Superseded); err != nil {
					t.Error(err)
				}
				lists, err := p.Publish(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				published[i] = append(published[i], lists[0])
				if entry(w.read(lists[0]), c) == nil {
					t.Errorf("list %d lacks what was revoked before it was asked for", lists[0].Number)
				}
			}
		})
	}
	wait.Wait()
	all := slices.Concat(published...)
	slices.SortFunc(all, func(a, b *crl.CRL) int { return int(a.Number - b.Number) })
	for i, c := range all[1:] {
		last := all[i]
		if c.Number == last.Number && !bytes.Equal(c.DER, last.DER) {
			t.Errorf("two lists have the number %d", c.Number)
		}
		if c.Entries < last.Entries {
			t.Errorf("list %d has %d entries and list %d has %d", last.Number, last.Entries, c.Number, c.Entries)
		}
	}
	for _, one := range published {
		if !slices.IsSortedFunc(one, func(a, b *crl.CRL) int { return int(a.Number - b.Number) }) {
			t.Error("a publisher went back")
		}
	}
	w.restart()
	if next, last := w.publish().Number.Int64(), all[len(all)-1].Number; len(all) != rounds*len(publishers) || next != last+1 {
		t.Errorf("%d lists up to %d; the next one is %d", len(all), last, next)
	}
}
