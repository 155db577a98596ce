package ca_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

const sharesComponent = "shares a component of a composite key with another key"

// A family is a composite key, its halves, and composites that share one of them.
type family struct {
	whole, sameClassical, sameLattice *ca.CSR
	classical, lattice                *ca.CSR // the halves alone
	classicalPEM                      string
	wholePEM, strangerPEM             string // public keys to register; the stranger has no part in it
}

// newFamily makes one of ML-DSA-44 and Ed25519.
func newFamily(t testing.TB) family {
	t.Helper()
	seed, other := make([]byte, 32), make([]byte, 32)
	rand.Read(seed)
	rand.Read(other)
	edwards, further := newEd25519(t), newEd25519(t)
	composite := func(seed []byte, k ed25519.PrivateKey) *pqc.PrivateKey {
		return must(pqc.NewPrivateKey(pqc.MLDSA44Ed25519SHA512, slices.Concat(seed, k.Seed())))(t)
	}
	public := func(k *pqc.PrivateKey) string { return pemOf("PUBLIC KEY", pqc.MarshalPKIXPublicKey(k.PublicKey())) }
	return family{
		whole: csrPQ(t, composite(seed, edwards)), sameClassical: csrPQ(t, composite(other, edwards)), sameLattice: csrPQ(t, composite(seed, further)),
		classical: csr(t, edwards, nil), lattice: csrPQ(t, must(pqc.NewPrivateKey(pqc.MLDSA44, seed))(t)),
		classicalPEM: pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(edwards.Public()))(t)),
		wholePEM:     public(composite(seed, edwards)), strangerPEM: public(pqKey(t, pqc.MLDSA44Ed25519SHA512)),
	}
}

func csrPQ(t testing.TB, k *pqc.PrivateKey) *ca.CSR {
	t.Helper()
	return must(ca.ParseCSR(pqCSR(t, k, nil)))(t)
}

func (w *world) ask(n agents.Name, c *ca.CSR) error {
	_, err := w.Issue(context.Background(), catest.Ask(n, c))
	return err
}

func (w *world) set(n agents.Name, pems ...string) error {
	return w.db.Update(context.Background(), func(tx storage.Tx) error {
		change := agents.Change{Keys: append([]string{}, pems...)} // none empties the list
		keys, err := change.KeyComponents()
		if err != nil {
			return err
		}
		_, err = agents.Set(tx, td, n, change, w.now, catest.Unchecked(keys...))
		return err
	})
}

// TestComponentsAreUsedOnce: what the agent one has, registered or certified, is
// refused to it and to the agent two in any other key, and nothing else is.
func TestComponentsAreUsedOnce(t *testing.T) {
	f := newFamily(t)
	for what, c := range map[string]struct {
		first   *ca.CSR
		keys    string  // registered for one, instead
		same    *ca.CSR // of the very same key
		refused []*ca.CSR
		granted []*ca.CSR
	}{
		"a composite, certified":        {first: f.whole, same: f.whole, refused: []*ca.CSR{f.classical, f.lattice, f.sameClassical, f.sameLattice}, granted: []*ca.CSR{f.whole}},
		"a composite, registered":       {keys: f.wholePEM, same: f.whole, refused: []*ca.CSR{f.classical, f.lattice, f.sameClassical, f.sameLattice}, granted: []*ca.CSR{f.whole}},
		"a classical key, certified":    {first: f.classical, same: f.classical, refused: []*ca.CSR{f.whole, f.sameClassical}, granted: []*ca.CSR{f.classical, f.lattice, f.sameLattice}},
		"a classical key, registered":   {keys: f.classicalPEM, same: f.classical, refused: []*ca.CSR{f.whole, f.sameClassical}, granted: []*ca.CSR{f.classical, f.lattice, f.sameLattice}},
		"an ML-DSA key, certified":      {first: f.lattice, same: f.lattice, refused: []*ca.CSR{f.whole, f.sameLattice}, granted: []*ca.CSR{f.lattice, f.classical, f.sameClassical}},
		"another composite, registered": {keys: f.strangerPEM, granted: []*ca.CSR{f.whole}},
	} {
		for _, who := range []agents.Name{"one", "two"} {
			for i, again := range append(slices.Clone(c.refused), c.granted...) {
				t.Run(fmt.Sprintf("%s, then %s asks for %d", what, who, i), func(t *testing.T) {
					w := newWorld(t)
					w.Add("one", agents.Change{})
					w.Add("two", agents.Change{})
					first := func() error { return w.ask("one", c.first) }
					if c.first == nil {
						first = func() error { return w.set("one", c.keys) }
					}
					if err := first(); err != nil {
						t.Fatal(err)
					}
					err := w.ask(who, again)
					if who == "two" && again == c.same {
						refused(t, "the key of another", err, agents.ErrKeyShared, agents.ErrKeyShared.Error())
						return
					}
					if i >= len(c.refused) {
						if err != nil {
							t.Error(err)
						}
						return
					}
					refused(t, "a component elsewhere", err, agents.ErrInvalid, sharesComponent)
					if e := w.Events(); e[len(e)-1].Decision != audit.Deny {
						t.Error("the refusal is not recorded")
					}
					w.now = w.now.Add(5 * time.Minute) // certificates are over
					if err := w.set("one"); err != nil {
						t.Fatal(err)
					}
					if err := w.ask(who, again); err != nil {
						t.Errorf("when all is over: %v", err)
					}
				})
			}
		}
	}
}

// TestComponentsOfEveryKind: the halves of other composites are found alone, too.
func TestComponentsOfEveryKind(t *testing.T) {
	w := newWorld(t)
	w.Add("one", agents.Change{})
	w.Add("two", agents.Change{})
	for alg, parse := range map[pqc.Algorithm]func([]byte) (crypto.Signer, error){
		pqc.MLDSA65ECDSAP256SHA512:  func(b []byte) (crypto.Signer, error) { return x509.ParseECPrivateKey(b) },
		pqc.MLDSA87ECDSAP384SHA512:  func(b []byte) (crypto.Signer, error) { return x509.ParseECPrivateKey(b) },
		pqc.MLDSA44RSA2048PSSSHA256: func(b []byte) (crypto.Signer, error) { return x509.ParsePKCS1PrivateKey(b) },
	} {
		k := pqKey(t, alg)
		half := must(parse(must(k.Bytes())(t)[32:]))(t)
		if err := w.ask("one", csrPQ(t, k)); err != nil {
			t.Fatal(err)
		}
		refused(t, alg.String(), w.ask("two", csr(t, half, nil)), agents.ErrInvalid, sharesComponent)
	}
}

// TestRevokedComponent: a key does not become fit to be a half by being revoked.
func TestRevokedComponent(t *testing.T) {
	w, f := newWorld(t), newFamily(t)
	for _, n := range []agents.Name{"one", "two", "three"} {
		w.Add(n, agents.Change{})
	}
	if err := errors.Join(w.ask("one", f.classical), w.ask("two", f.sameLattice)); err != nil {
		t.Fatal(err)
	}
	w.Suspend("one")
	w.Suspend("two")
	refused(t, "a half that was revoked", w.ask("three", f.whole), agents.ErrInvalid, sharesComponent)
	refused(t, "a half of what was revoked", w.ask("three", f.lattice), agents.ErrInvalid, sharesComponent)
}

// TestHalfCertifiedMeanwhile: a composite and its half alone are both decided on
// before either is recorded. The first to be recorded stands.
func TestHalfCertifiedMeanwhile(t *testing.T) {
	for _, taken := range []bool{false, true} { // whether the census was taken before
		f := newFamily(t)
		for what, c := range map[string]struct{ slow, quick *ca.CSR }{
			"the half comes first":      {f.whole, f.classical},
			"the composite comes first": {f.classical, f.whole},
			"the other half":            {f.whole, f.lattice},
			"its composite":             {f.lattice, f.whole},
			"another composite":         {f.whole, f.sameLattice},
		} {
			w := newWorld(t)
			w.Add("slow", agents.Change{})
			w.Add("quick", agents.Change{})
			if taken {
				if err := w.ask("quick", csrPQ(t, pqKey(t, pqc.MLDSA44Ed25519SHA512))); err != nil {
					t.Fatal(err)
				}
			}
			before := len(w.Certificates())
			done := false
			w.db.beforeUpdate = func() {
				done = true
				if err := w.ask("quick", c.quick); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			refused(t, what, w.ask("slow", c.slow), agents.ErrInvalid, sharesComponent)
			if n := len(w.Certificates()) - before; n != 1 || !done {
				t.Errorf("%s: %d certificates, want 1", what, n)
			}
		}
	}
}

// TestComponentsRace: many clients ask at once for composites and for their halves
// alone. No component is in two keys afterwards, whichever client wins.
func TestComponentsRace(t *testing.T) {
	w := newWorld(t)
	const families, askers = 12, 4
	var wg sync.WaitGroup
	begin := make(chan struct{})
	kin := make([]family, families)
	granted := make([]struct {
		sync.Mutex
		of map[*ca.CSR]int
	}, families)
	for i := range kin {
		kin[i] = newFamily(t)
		granted[i].of = map[*ca.CSR]int{}
	}
	for n := range askers {
		name := agents.Name(fmt.Sprintf("agent-%d", n))
		w.Add(name, agents.Change{})
		for i, f := range kin {
			all := []*ca.CSR{f.whole, f.classical, f.lattice, f.sameClassical, f.sameLattice}
			for j := range all {
				wg.Go(func() {
					c := all[(j+i+n)%len(all)]
					<-begin
					err := w.ask(name, c)
					if err == nil {
						granted[i].Lock()
						granted[i].of[c]++
						granted[i].Unlock()
					} else if !errors.Is(err, components.ErrShared) && !errors.Is(err, agents.ErrKeyShared) {
						t.Error(err)
					}
				})
			}
		}
	}
	close(begin)
	wg.Wait()
	for i, f := range kin {
		of := granted[i].of
		for what, both := range map[string][2]*ca.CSR{
			"the classical half":        {f.whole, f.classical},
			"the ML-DSA half":           {f.whole, f.lattice},
			"one of the same classical": {f.whole, f.sameClassical},
			"one of the same ML-DSA":    {f.whole, f.sameLattice},
			"another's classical half":  {f.sameClassical, f.classical},
			"another's ML-DSA half":     {f.sameLattice, f.lattice},
		} {
			if of[both[0]] > 0 && of[both[1]] > 0 {
				t.Errorf("family %d: a composite and %s are both alive", i, what)
			}
		}
		for c, n := range of { // whoever was first has the key alone
			if n != 1 {
				t.Errorf("family %d: %d certificates for %x, want 1", i, n, c.PublicKey[:20])
			}
		}
		if len(of) == 0 {
			t.Errorf("family %d: everybody was refused", i)
		}
	}
}
