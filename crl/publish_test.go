package crl_test

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestStormOfRevocationsCostsFewLists: each of 500 callers gets a list with its
// own revocation on it, and they share the work.
func TestStormOfRevocationsCostsFewLists(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	w.Add("bot", agents.Change{})
	creds := make([]agents.Credential, 500)
	var wait sync.WaitGroup
	for i := range creds {
		wait.Go(func() { creds[i] = w.issue("bot") })
	}
	wait.Wait()
	first := w.publish().Number.Int64()
	got := make([]*crl.CRL, len(creds))
	for i, c := range creds {
		wait.Go(func() {
			w.Update(func(tx storage.Tx) error { return agents.Revoke(tx, c, agents.Cutoff{At: w.now()}) })
			lists, err := w.Publish(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = lists[0]
		})
	}
	wait.Wait()
	parsed := map[*crl.CRL]*x509.RevocationList{}
	for i, c := range got {
		if c == nil {
			continue
		}
		if parsed[c] == nil {
			parsed[c] = w.read(c)
		}
		if entry(parsed[c], creds[i]) == nil {
			t.Errorf("list %d, given to the caller who revoked %s, does not have it", c.Number, creds[i].ID)
		}
	}
	last := w.Current()[0]
	if last.Entries != len(creds) {
		t.Errorf("the last list has %d entries, want %d", last.Entries, len(creds))
	}
	built := last.Number - first
	if built > int64(len(creds))/4 {
		t.Errorf("%d lists were made for %d revocations", built, len(creds))
	}
	t.Logf("%d lists for %d revocations", built, len(creds))
}

// slow is a store whose reads wait to be let go.
type slow struct {
	storage.DB
	entered, release chan struct{}
}

func (d slow) View(ctx context.Context, fn func(storage.Tx) error) error {
	err := d.DB.View(ctx, fn)
	d.entered <- struct{}{}
	<-d.release
	return err
}

// TestCallDuringAPublicationGetsTheNextOne: the one under way has read the
// store already. All that come meanwhile share that next one, and if one of
// them wants a regular list, that is what it is.
func TestCallDuringAPublicationGetsTheNextOne(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	db := slow{w.DB, make(chan struct{}), make(chan struct{})}
	p := crl.NewPublisher(db, w.CA, w.Clock())
	numbers := make(chan int64, 4)
	publish := func(how func(context.Context) ([]*crl.CRL, error)) {
		lists, err := how(context.Background())
		if err != nil {
			t.Error(err)
			numbers <- 0
			return
		}
		numbers <- lists[0].Number
	}
	go publish(p.Publish)
	<-db.entered // it has read the store
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() { publish(p.Publish) })
	}
	wait.Go(func() { publish(p.PublishRegular) })
	wait.Go(func() {
		_, err := p.Publish(ctx)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up: %v", err)
		}
	})
	time.Sleep(50 * time.Millisecond) // let them queue up
	cancel()
	db.release <- struct{}{}
	if n := <-numbers; n != 1 {
		t.Errorf("the first got list %d", n)
	}
	<-db.entered
	db.release <- struct{}{}
	wait.Wait()
	for range 3 {
		if n := <-numbers; n != 2 {
			t.Errorf("one that came later got list %d, want 2", n)
		}
	}
	if c := p.Current()[0]; !c.Regular.Equal(c.NextUpdate.Add(-crl.Lifetime)) {
		t.Errorf("it is no regular list: %+v", c)
	}
}

// fickle is a store that can be made to fail.
type fickle struct {
	storage.DB
	failing atomic.Bool
}

func (d *fickle) View(ctx context.Context, fn func(storage.Tx) error) error {
	if d.failing.Load() {
		return errors.New("the disk is gone")
	}
	return d.DB.View(ctx, fn)
}

// TestRunPublishesOnTime, and soon again after a failure.
func TestRunPublishesOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, keys.Ed25519)
		db := &fickle{DB: w.DB}
		p := crl.NewPublisher(db, w.CA, clock.Believing(time.Now))
		var failures []time.Duration
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Run(ctx, func(error) { failures = append(failures, time.Since(began)) })
		}()
		time.Sleep(crl.Interval - time.Second)
		if p.Current() != nil {
			t.Error("it publishes too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if c := p.Current(); len(c) != 1 || c[0].Number != 1 || !c[0].Regular.Equal(c[0].NextUpdate.Add(-crl.Lifetime)) {
			t.Fatalf("after an interval: %+v", c)
		}
		db.failing.Store(true)
		time.Sleep(crl.Interval + 25*time.Second)
		synctest.Wait()
		if want := []time.Duration{600 * time.Second, 610 * time.Second, 620 * time.Second}; !slices.Equal(failures, want) {
			t.Errorf("it failed at %v, want %v", failures, want)
		}
		db.failing.Store(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		c := p.Current()[0]
		if c.Number != 2 {
			t.Errorf("after the failures: list %d", c.Number)
		}
		cancel()
		<-done
	})
}
