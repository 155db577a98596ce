package ocsp_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestListAndAnswersAgree issues and ends certificates in every way, at random, and
// after each step asks about every certificate so far. The CRL and the answers must
// agree, to the second and the reason.
func TestListAndAnswersAgree(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, keys.Ed25519)
	names := []agents.Name{"ada", "bob", "cyd"}
	for _, n := range names {
		w.add(n)
	}
	var all []leaf
	reasons := []agents.Reason{agents.Unspecified, agents.KeyCompromise, agents.Superseded, agents.PrivilegeWithdrawn}
	steps := map[string]func(agents.Name, agents.Reason) error{
		"issue": func(n agents.Name, _ agents.Reason) error {
			l, err := w.tryIssue(n)
			if err == nil {
				all = append(all, l)
			}
			return err
		},
		"revoke by serial": func(_ agents.Name, why agents.Reason) error {
			if len(all) == 0 {
				return nil
			}
			latest := all[max(0, len(all)-3):]
			_, err := w.CA.Revoke(context.Background(), catest.Operator, latest[r.IntN(len(latest))].ID, why)
			return err
		},
		"suspend": func(n agents.Name, why agents.Reason) error {
			return w.DB.Update(t.Context(), func(tx storage.Tx) error {
				_, err1 := agents.Suspend(tx, n, why, w.now())
				_, err2 := agents.Resume(tx, n, w.now())
				return errors.Join(err1, err2)
			})
		},
		"bring the end forward, and it comes": func(n agents.Name, _ agents.Reason) error {
			end := w.now().Add(2 * time.Second)
			w.Update(func(tx storage.Tx) error {
				_, err := agents.Set(tx, td, n, agents.Change{Expires: &end}, w.now())
				return err
			})
			w.agree(all, "before the end of "+string(n))
			w.pass(3 * time.Second)
			w.agree(all, "after the end of "+string(n))
			w.Update(func(tx storage.Tx) error {
				_, err := agents.Set(tx, td, n, agents.Change{Expires: new(time.Time)}, w.now())
				return err
			})
			return nil
		},
		"cut an owner off": func(n agents.Name, why agents.Reason) error {
			return w.DB.Update(t.Context(), func(tx storage.Tx) error {
				return agents.CutOwner(tx, "team of "+string(n), agents.Cutoff{At: w.now().Add(-time.Second), Made: w.now(), Reason: why})
			})
		},
		"cut an issuer off": func(_ agents.Name, why agents.Reason) error {
			return w.DB.Update(t.Context(), func(tx storage.Tx) error {
				return agents.CutIssuer(tx, w.CA.Issuer().ID, agents.Cutoff{At: w.now(), Reason: why})
			})
		},
		"rotate":                            func(agents.Name, agents.Reason) error { w.rotate(keys.ECDSAP256); return nil },
		"set the clock back":                func(agents.Name, agents.Reason) error { w.pass(-2 * time.Second); return nil },
		"let time pass, but for no answers": func(agents.Name, agents.Reason) error { w.pass(20 * time.Second); return nil },
	}
	var order []string
	for name := range steps {
		often := map[string]int{"issue": 45, "revoke by serial": 20}[name]
		order = append(order, slices.Repeat([]string{name}, max(often, 6))...)
	}
	slices.Sort(order)
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	done := map[string]int{}
	for _, name := range order {
		err := steps[name](names[r.IntN(len(names))], reasons[r.IntN(len(reasons))])
		if err != nil && !errors.Is(err, agents.ErrRevoked) && !errors.Is(err, agents.ErrCredentialExpired) && !errors.Is(err, storage.ErrNotFound) {
			t.Fatalf("%s: %v", name, err)
		}
		if err == nil {
			done[name]++
		}
		w.pass(time.Millisecond * time.Duration(r.IntN(1500)))
		w.agree(all, name)
		// CRLs drop expired certificates.
		all = slices.DeleteFunc(all, func(l leaf) bool { return w.now().After(l.ID.Expires().Add(-time.Minute)) })
		if t.Failed() {
			break
		}
	}
	if len(done) < len(steps) {
		t.Error("something was not tried, or never went well")
	}
	t.Logf("done: %v", done)
}

// agree publishes and compares: a certificate that has not expired is on the CRL of
// its issuer exactly if its answer says that it is revoked.
func (w *world) agree(all []leaf, when string) {
	w.t.Helper()
	lists, err := w.crl.Publish(context.Background())
	w.check(err)
	listed := map[string]x509.RevocationListEntry{}
	for _, l := range lists {
		parsed, err := x509.ParseRevocationList(l.DER)
		w.check(err)
		for _, e := range parsed.RevokedCertificateEntries {
			listed[l.Issuer+string(e.SerialNumber.FillBytes(make([]byte, 20)))] = e
		}
	}
	for _, l := range all {
		e, revoked := listed[l.Credential.Issuer+l.ID.Key()]
		got := w.ask(l)
		switch {
		case revoked != (got.Status == xocsp.Revoked) || !revoked && got.Status != xocsp.Good:
			w.t.Errorf("%s: %s is on the list: %t; the answer has status %d", when, l.ID, revoked, got.Status)
		case revoked && (!got.RevokedAt.Equal(e.RevocationTime) || got.RevocationReason != e.ReasonCode):
			w.t.Errorf("%s: %s: since %s (%d) by the list, since %s (%d) by the answer", when, l.ID, e.RevocationTime, e.ReasonCode, got.RevokedAt, got.RevocationReason)
		}
	}
}

// TestOnlyWhatIsOnRecordIsAnswered: nothing is signed for any other certificate.
func TestOnlyWhatIsOnRecordIsAnswered(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	old := w.issue("bot")
	before := w.IssuerOf(old.Credential.Issuer)
	w.rotate(keys.Ed25519)
	young := w.issue("bot")
	after := w.IssuerOf(young.Credential.Issuer)
	for _, l := range []leaf{old, young} {
		w.respond(l)
	}
	foreign := newWorld(t, keys.ECDSAP256)
	alien := foreign.issue("bot")
	never := old
	never.Certificate = new(*old.Certificate)
	never.SerialNumber = young.SerialNumber
	for name, request := range map[string][]byte{
		"the serial number of another issuer of ours": w.request(never, crypto.SHA1),
		"an issuer that is not ours":                  foreign.request(alien, crypto.SHA256),
		"the key of its issuer and the name of another": mustRequest(t, func(r *xocsp.Request) {
			a, b := w.parse(old), w.parse(young)
			*r = *a
			r.IssuerNameHash = b.IssuerNameHash
		}),
		"a serial number never given": mustRequest(t, func(r *xocsp.Request) {
			*r = *w.parse(old)
			r.SerialNumber.SetBit(r.SerialNumber, 3, r.SerialNumber.Bit(3)^1)
		}),
		"a short serial number": mustRequest(t, func(r *xocsp.Request) {
			*r = *w.parse(old)
			r.SerialNumber.SetInt64(1)
		}),
		"the issuer itself, of which the root knows": mustRequest(t, func(r *xocsp.Request) { *r = *w.parse(old); r.SerialNumber = before.SerialNumber }),
	} {
		if r, err := w.Respond(t.Context(), request); !errors.Is(err, ocsp.ErrUnauthorized) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if before.Equal(after) {
		t.Error("there was no rotation")
	}
	w.Update(func(tx storage.Tx) error { // as if it had expired long ago
		ended, err := storage.Ended(tx, start.Add(10*time.Hour))
		for _, name := range ended {
			err = errors.Join(err, storage.DropPartition(tx, name))
		}
		return err
	})
	if r, err := w.Respond(t.Context(), w.request(old, crypto.SHA1)); !errors.Is(err, ocsp.ErrUnauthorized) {
		t.Errorf("a certificate that is forgotten: %+v, %v", r, err)
	}
}

func (w *world) parse(l leaf) *xocsp.Request {
	w.t.Helper()
	r, err := xocsp.ParseRequest(w.request(l, crypto.SHA1))
	w.check(err)
	return r
}

func mustRequest(t *testing.T, fill func(*xocsp.Request)) []byte {
	t.Helper()
	r := new(xocsp.Request)
	fill(r)
	der, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return der
}
