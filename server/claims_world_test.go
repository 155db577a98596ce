package server

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// An interrupted is a store in which something happens just before the nth
// transaction from now.
type interrupted struct {
	storage.DB
	mu      sync.Mutex // parts of an authority open at the same time
	calls   int
	n       int
	happens func()
}

func (d *interrupted) next() {
	d.mu.Lock()
	d.calls++
	happens := d.happens
	if happens == nil || d.calls != d.n {
		d.mu.Unlock()
		return
	}
	d.happens = nil
	d.mu.Unlock()
	happens()
	d.calls = d.n // without those of its own
}

func (d *interrupted) View(ctx context.Context, fn func(storage.Tx) error) error {
	d.next()
	return d.DB.View(ctx, fn)
}

func (d *interrupted) Update(ctx context.Context, fn func(storage.Tx) error) error {
	d.next()
	return d.DB.Update(ctx, fn)
}

// before has happens come just before the nth transaction of f, and returns how many
// transactions f had.
func (d *interrupted) before(n int, happens, f func()) (transactions int) {
	d.calls, d.n, d.happens = 0, n, happens
	f()
	d.happens = nil
	return d.calls
}

// newInterrupted returns an authority whose store is interrupted.
func newInterrupted(t *testing.T) (*world, *interrupted) {
	a := newAuthority(t)
	d := &interrupted{DB: a.db}
	a.db = d
	if err := a.assemble(keyfile.NewStore(a.Dir, keyfile.NoPassphrase)); err != nil {
		t.Fatal(err)
	}
	a.agents, a.public, a.operators = a.observed(a.agentHandler()), a.observed(a.publicHandler()), fromHere(t, a.observed(a.operatorHandler()))
	return a, d
}

// pass lets a random time go by: none at all, so that two things happen at the same
// instant, or less than any lifetime here.
func (a *world) pass(r *rand.Rand) {
	d := []time.Duration{0, 0, time.Nanosecond, time.Millisecond, time.Second, 10 * time.Second}
	a.set(a.now().Add(d[r.IntN(len(d))]))
}
