package persons_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/persons/passkey"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

const td agents.TrustDomain = "example.internal"

var (
	now  = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	site = passkey.Site{ID: "ca.example", Origin: "https://ca.example"}
)

// A holder has a passkey.
type holder struct {
	t    *testing.T
	db   storage.DB
	name persons.Name
	key  *ecdsa.PrivateKey
	n    uint32 // signatures
}

func openDB(t *testing.T) storage.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// newHolder adds a person and registers a passkey for them.
func newHolder(t *testing.T, db storage.DB, name persons.Name) *holder {
	t.Helper()
	key, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	spki, err2 := x509.MarshalPKIXPublicKey(&key.PublicKey)
	e, err3 := agents.NewEnrollment(now)
	l, err4 := persons.NewLink(now)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	h := &holder{t: t, db: db, name: name, key: key}
	h.update(func(tx storage.Tx) error {
		_, err1 := persons.Add(tx, name, persons.Security, e, now)
		_, err2 := persons.Invite(tx, name, l)
		_, err3 := persons.Register(tx, l, passkey.Key{ID: []byte("key of " + name), Public: spki}, now)
		return errors.Join(err1, err2, err3)
	})
	return h
}

func (h *holder) update(f func(storage.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), f); err != nil {
		h.t.Fatal(err)
	}
}

// asked returns a challenge to approve something.
func (h *holder) asked(what string) persons.Challenge {
	h.t.Helper()
	c := persons.NewChallenge(sha256.Sum256([]byte(what)), now)
	h.update(func(tx storage.Tx) error { _, err := persons.Ask(tx, h.name, c, now); return err })
	return c
}

// sign answers a challenge.
func (h *holder) sign(value []byte) passkey.Assertion {
	h.t.Helper()
	h.n++
	client := fmt.Sprintf(`{"type":"webauthn.get","challenge":%q,"origin":%q,"crossOrigin":false}`, base64.RawURLEncoding.EncodeToString(value), site.Origin)
	id, said := sha256.Sum256([]byte(site.ID)), sha256.Sum256([]byte(client))
	data := binary.BigEndian.AppendUint32(append(id[:], 5), h.n)
	digest := sha256.Sum256(append(bytes.Clone(data), said[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, h.key, digest[:])
	if err != nil {
		h.t.Fatal(err)
	}
	return passkey.Assertion{ID: []byte("key of " + h.name), ClientData: []byte(client), Data: data, Signature: signature, User: persons.UserHandle(td, h.name)}
}

func (h *holder) answer(what string, a passkey.Assertion, at time.Time) (p persons.Person, err error) {
	failed := h.db.Update(context.Background(), func(tx storage.Tx) error {
		p, _, err = persons.Answer(tx, td, site, sha256.Sum256([]byte(what)), a, at)
		return err
	})
	if err == nil && failed != nil {
		h.t.Error(failed)
	}
	return p, err
}

// TestChallengeIsAnsweredOnce, in time, by its person, for one thing.
func TestChallengeIsAnsweredOnce(t *testing.T) {
	db := openDB(t)
	alice, bob := newHolder(t, db, "alice"), newHolder(t, db, "bob")
	c := alice.asked("a grant")
	again := alice.asked("a grant")
	if bytes.Equal(c.Value("alice"), again.Value("alice")) || bytes.Equal(c.Value("alice"), c.Value("bob")) {
		t.Error("two challenges have one value")
	}
	good := alice.sign(c.Value("alice"))
	for what, try := range map[string]func() (persons.Person, error){
		"something else":           func() (persons.Person, error) { return alice.answer("another grant", good, now) },
		"late":                     func() (persons.Person, error) { return alice.answer("a grant", good, now.Add(5*time.Minute)) },
		"another's challenge":      func() (persons.Person, error) { return bob.answer("a grant", bob.sign(c.Value("alice")), now) },
		"one that nobody gave out": func() (persons.Person, error) { return alice.answer("a grant", alice.sign(make([]byte, 32)), now) },
		"another's passkey": func() (persons.Person, error) {
			a := good
			a.ID = []byte("key of bob")
			return alice.answer("a grant", a, now)
		},
		"an unknown passkey": func() (persons.Person, error) {
			a := good
			a.ID = []byte("other")
			return alice.answer("a grant", a, now)
		},
		"another signature": func() (persons.Person, error) {
			a := good
			a.Signature = bob.sign(c.Value("alice")).Signature
			return alice.answer("a grant", a, now)
		},
		"nothing": func() (persons.Person, error) { return alice.answer("a grant", passkey.Assertion{ID: good.ID}, now) },
	} {
		if _, err := try(); !errors.Is(err, persons.ErrAnswer) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if p, err := alice.answer("a grant", good, now.Add(4*time.Minute)); err != nil || p.Name != "alice" || p.Passkeys[0].Count != 1 || len(p.Challenges) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := alice.answer("a grant", good, now); !errors.Is(err, persons.ErrAnswer) || p.Name != "alice" {
		t.Errorf("again: %v", err)
	}
	alice.n = 0 // a copy of the authenticator
	if _, err := alice.answer("a grant", alice.sign(again.Value("alice")), now); !errors.Is(err, persons.ErrAnswer) || !errors.Is(err, passkey.ErrCount) {
		t.Errorf("a copy: %v", err)
	}
	if _, err := alice.answer("a grant", alice.sign(again.Value("alice")), now); err != nil {
		t.Errorf("the challenge was used up by refusals: %v", err)
	}
}

// TestOneOfManyAnswersCounts, if they come at once.
func TestOneOfManyAnswersCounts(t *testing.T) {
	alice := newHolder(t, openDB(t), "alice")
	c := alice.asked("a grant")
	var all []passkey.Assertion
	for range 20 {
		all = append(all, alice.sign(c.Value("alice")))
	}
	var approved atomic.Int32
	var wg sync.WaitGroup
	for _, a := range all {
		wg.Go(func() {
			if _, err := alice.answer("a grant", a, now); err == nil {
				approved.Add(1)
			}
		})
	}
	wg.Wait()
	if approved.Load() != 1 {
		t.Errorf("it was approved %d times", approved.Load())
	}
}

// TestChallengesEnd with what lets their person answer, and are few.
func TestChallengesEnd(t *testing.T) {
	for what, end := range map[string]func(storage.Tx) error{
		"suspended and resumed": func(tx storage.Tx) error {
			_, _, err1 := persons.Suspend(tx, "alice", now)
			_, _, err2 := persons.Resume(tx, "alice", now)
			return errors.Join(err1, err2)
		},
		"suspended": func(tx storage.Tx) error { _, _, err := persons.Suspend(tx, "alice", now); return err },
		"removed":   func(tx storage.Tx) error { _, err := persons.Remove(tx, td, "alice", now); return err },
		"without a passkey": func(tx storage.Tx) error {
			_, err := persons.RemovePasskey(tx, "alice", []byte("key of alice"))
			return err
		},
		"restored": func(tx storage.Tx) error { _, err := persons.VoidLinks(tx); return err },
		"asked 8 times more": func(tx storage.Tx) error {
			for range 8 {
				if _, err := persons.Ask(tx, "alice", persons.NewChallenge(sha256.Sum256(nil), now), now); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		alice := newHolder(t, openDB(t), "alice")
		c := alice.asked("a grant")
		alice.update(end)
		if _, err := alice.answer("a grant", alice.sign(c.Value("alice")), now); !errors.Is(err, persons.ErrAnswer) || errors.Is(err, persons.ErrSuspended) {
			t.Errorf("%s: %v", what, err)
		}
		alice.update(func(tx storage.Tx) error {
			_, err := persons.Ask(tx, "alice", c, now)
			if may := what == "suspended and resumed" || what == "restored" || what == "asked 8 times more"; may != (err == nil) {
				t.Errorf("%s: asked again: %v", what, err)
			}
			return nil
		})
		alice.update(func(tx storage.Tx) error {
			if p, err := persons.Get(tx, "alice"); err != nil || len(p.Challenges) > 8 {
				t.Errorf("%s: %d challenges, %v", what, len(p.Challenges), err)
			}
			return nil
		})
	}
}
