package ocsp_test

import (
	"bytes"
	"crypto"
	"log/slog"
	"sync"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestRevocationShowsInTheNextAnswer, even if a good answer was given in the same
// second, and whatever caused the revocation.
func TestRevocationShowsInTheNextAnswer(t *testing.T) {
	for name, revoke := range map[string]func(*world, leaf){
		"serial": func(w *world, l leaf) { w.revoke(l, agents.KeyCompromise) },
		"agent": func(w *world, _ leaf) {
			w.Update(func(tx storage.Tx) error {
				_, err := agents.Suspend(tx, "bot", agents.Superseded, w.now())
				return err
			})
			w.Update(func(tx storage.Tx) error { _, err := agents.Resume(tx, "bot", w.now()); return err })
		},
		"the agent's end": func(w *world, _ leaf) {
			soon := w.now().Add(time.Millisecond)
			w.Update(func(tx storage.Tx) error {
				_, err := agents.Set(tx, td, "bot", agents.Change{Expires: &soon}, w.now())
				return err
			})
			w.clock = soon
		},
	} {
		w := newWorld(t, keys.ECDSAP256)
		l := w.issue("bot")
		if got := w.ask(l); got.Status != xocsp.Good {
			t.Errorf("%s: status %d before", name, got.Status)
		}
		w.pass(time.Microsecond)
		revoke(w, l)
		if got := w.ask(l); got.Status != xocsp.Revoked {
			t.Errorf("%s: status %d in the next answer", name, got.Status)
		}
	}
}

// TestSameAnswerIsSignedOnceAMinute: signatures of ECDSA differ each time.
func TestSameAnswerIsSignedOnceAMinute(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	l := w.issue("bot")
	first := w.respond(l)
	for _, step := range []struct {
		pass time.Duration
		same bool
	}{{0, true}, {30 * time.Second, true}, {29 * time.Second, true}, {time.Second, false}, {0, true}, {-2 * time.Second, false}} {
		w.pass(step.pass)
		got := w.respond(l)
		if bytes.Equal(got.DER, first.DER) != step.same || (got.ETag == first.ETag) != step.same {
			t.Errorf("at %s: the same: %t, want %t", w.clock, !step.same, step.same)
		}
		if age := w.now().Sub(got.ProducedAt); age < 0 || age >= time.Minute {
			t.Errorf("an answer of %s at %s", got.ProducedAt, w.now())
		}
		first = got
	}
	other, err := w.Respond(t.Context(), w.request(l, crypto.SHA256))
	w.check(err)
	if bytes.Equal(other.DER, first.DER) {
		t.Error("who asks in other words gets the answer to these")
	}
}

// TestStormOfOneQuestionCostsOneSignature, and every other question gets its own.
func TestStormOfOneQuestionCostsOneSignature(t *testing.T) {
	w := newWorld(t, "mldsa44-rsa2048-pss-sha256") // a slow one
	leaves := []leaf{w.issue("bot"), w.issue("bot")}
	w.revoke(leaves[1], agents.KeyCompromise)
	requests := [][]byte{w.request(leaves[0], crypto.SHA1), w.request(leaves[1], crypto.SHA1)}
	var answers [2]sync.Map
	var wait sync.WaitGroup
	for i := range 200 {
		wait.Go(func() {
			r, err := w.Respond(t.Context(), requests[i%2])
			if err != nil {
				t.Error(err)
				return
			}
			answers[i%2].Store(string(r.DER), true)
		})
	}
	wait.Wait()
	for i, l := range leaves {
		n := 0
		for der := range answers[i].Range {
			n++
			if got, err := xocsp.ParseResponseForCert([]byte(der.(string)), l.Certificate, nil); err != nil || got.Status != []int{xocsp.Good, xocsp.Revoked}[i] {
				t.Errorf("%d: %+v, %v", i, got, err)
			}
		}
		if n != 1 {
			t.Errorf("%d was signed %d times", i, n)
		}
	}
}

// TestFirstQuestionsShareTheIssuers: requests that meet a responder without a list of
// issuers, as after a start, get one answer all the same.
func TestFirstQuestionsShareTheIssuers(t *testing.T) {
	w := newWorld(t, "ecdsa-p256")
	request := w.request(w.issue("bot"), crypto.SHA1)
	for range 100 {
		fresh := ocsp.NewResponder(w.DB, w.CA, w.crl, w.Clock(), slog.New(slog.DiscardHandler))
		var answers sync.Map
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				if r, err := fresh.Respond(t.Context(), request); err != nil {
					t.Error(err)
				} else {
					answers.Store(string(r.DER), true)
				}
			})
		}
		wait.Wait()
		n := 0
		for range answers.Range {
			n++
		}
		if n != 1 {
			t.Fatalf("one question was signed %d times", n)
		}
	}
}
