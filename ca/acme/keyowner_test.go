package acme

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// An offered key is one that the test has somebody bring.
type offered struct {
	*ecdsa.PrivateKey
	spki []byte
}

func newOffered(t testing.TB) offered {
	k := newECDSA(t, elliptic.P256())
	return offered{k, must(x509.MarshalPKIXPublicKey(k.Public()))(t)}
}

func (k offered) pem() []string {
	return []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.spki}))}
}

func (w *world) certify(n agents.Name, k offered) error {
	der := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k.PrivateKey))(w.t)
	_, err := w.authority.CA.Issue(w.t.Context(), ca.Request{Claim: catest.Claim(n).By(audit.EnrollmentToken), CSR: must(ca.ParseCSR(der))(w.t)})
	return err
}

func (w *world) try(change func(tx storage.Tx) error) error {
	return w.authority.DB.Update(w.t.Context(), change)
}

func (w *world) operator(person string) agents.Name {
	e := must(agents.NewEnrollment(w.now))(w.t)
	w.authority.Update(func(tx storage.Tx) error { return agents.AddOperator(tx, person, e, w.now) })
	return agents.OperatorName(person)
}

// problemOf is a refusal of ACME.
func problemOf(got *answered) error {
	if got.status < 400 {
		return nil
	}
	if !strings.Contains(string(got.body), agents.ErrKeyShared.Error()) {
		return errors.New(string(got.body))
	}
	return agents.ErrKeyShared
}

// A path is a way by which the agent, or the operator, n comes to a key. The account is one
// that it has.
var keyPaths = map[string]func(w *world, n string, k offered) error{
	"agent add": func(w *world, n string, k offered) error {
		return w.try(func(tx storage.Tx) error {
			_, err := agents.Add(tx, domain, agents.Name(n), agents.Change{Owner: new("team"), Keys: k.pem()}, must(agents.NewEnrollment(w.now))(w.t), w.now)
			return err
		})
	},
	"agent set": func(w *world, n string, k offered) error {
		w.authority.Add(agents.Name(n), agents.Change{Keys: newOffered(w.t).pem()})
		return w.try(func(tx storage.Tx) error {
			_, err := agents.Set(tx, domain, agents.Name(n), agents.Change{Keys: k.pem()}, w.now)
			return err
		})
	},
	"a registered key replaced by its agent": func(w *world, n string, k offered) error {
		old := newOffered(w.t)
		w.authority.Add(agents.Name(n), agents.Change{Keys: old.pem()})
		return w.try(func(tx storage.Tx) error {
			_, _, err := agents.ReplaceKey(tx, agents.Name(n), old.spki, k.spki, w.now)
			return err
		})
	},
	"enrollment": func(w *world, n string, k offered) error {
		w.authority.Add(agents.Name(n), agents.Change{})
		return w.certify(agents.Name(n), k)
	},
	"renewal": func(w *world, n string, k offered) error {
		w.authority.Add(agents.Name(n), agents.Change{})
		if err := w.certify(agents.Name(n), newOffered(w.t)); err != nil {
			return err
		}
		return w.certify(agents.Name(n), k)
	},
	"enrollment of an operator": func(w *world, n string, k offered) error { return w.certify(w.operator(n), k) },
	"an ACME account": func(w *world, n string, k offered) error {
		c := &user{w: w, signer: k.PrivateKey}
		return problemOf(c.post("/acme/new-account", c.binding(w.authority.Add(agents.Name(n), agents.Change{}), nil)))
	},
	"a change of the key of an ACME account": func(w *world, n string, k offered) error {
		c := w.open(agents.Name(n), agents.Change{})
		return problemOf(c.post("/acme/key-change", c.keyChange(&user{w: w, signer: k.PrivateKey}, nil)))
	},
	"an ACME order": func(w *world, n string, k offered) error {
		c, name := w.open(agents.Name(n), agents.Change{}), n+".example.internal"
		return problemOf(c.post(c.order(name)+"/finalize", csr(w.t, k.PrivateKey, &x509.CertificateRequest{DNSNames: []string{name}})))
	},
}

// TestKeyBelongsToOneAgent brings a key by every path, and then has another agent, and an
// operator, bring it by every path.
func TestKeyBelongsToOneAgent(t *testing.T) {
	for first, has := range keyPaths {
		for second, offer := range keyPaths {
			w, k := newWorld(t), newOffered(t)
			if err := has(w, "holder", k); err != nil {
				t.Fatalf("%s: %v", first, err)
			}
			err := offer(w, "two", k)
			switch {
			case strings.Contains(first, "ACME account") && strings.Contains(second, "ACME") && err != nil: // accounts have refusals of their own
			case !errors.Is(err, agents.ErrKeyShared):
				t.Errorf("%s, and then %s of another: %v", first, second, err)
			case strings.Contains(err.Error(), "holder"):
				t.Errorf("%s, and then %s of another: it says whose the key is: %v", first, second, err)
			}
			if err := offer(w, "three", newOffered(t)); err != nil {
				t.Errorf("%s with another key: %v", second, err)
			}
		}
	}
}

// TestAuthoritysKeyIsNoAgents: whether it signs now or was destroyed long ago.
func TestAuthoritysKeyIsNoAgents(t *testing.T) {
	for path, offer := range keyPaths {
		w, k := newWorld(t), newOffered(t)
		w.authority.Update(func(tx storage.Tx) error {
			own, err := keys.NewKey(keys.Tokens, k.PrivateKey, w.now)
			if err != nil {
				return err
			}
			own.State = keys.StateRetired
			return errors.Join(keys.Adopt(tx, own), keys.Remove(tx, own.ID))
		})
		if err := offer(w, "one", k); !errors.Is(err, agents.ErrKeyShared) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestKeyIsFreeAgain when nothing alive has it, and never if it may be compromised.
func TestKeyIsFreeAgain(t *testing.T) {
	end := func(w *world, why agents.Reason) {
		w.authority.Update(func(tx storage.Tx) error {
			for _, n := range []agents.Name{"one", agents.OperatorName("one")} {
				if _, err := agents.Get(tx, n); err == nil {
					if _, err := agents.Decommission(tx, domain, n, why, w.now); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	for path, has := range keyPaths {
		for what, c := range map[string]struct {
			end  func(*world)
			free bool
		}{
			"suspended":                  {func(w *world) { w.authority.Update(suspend(w)) }, false},
			"decommissioned":             {func(w *world) { end(w, agents.CessationOfOperation) }, true},
			"decommissioned as revealed": {func(w *world) { end(w, agents.KeyCompromise) }, false},
			"expired":                    {func(w *world) { w.now = w.now.Add(30 * time.Hour) }, strings.HasPrefix(path, "enrollment") || path == "renewal" || path == "an ACME order"},
		} {
			w, k := newWorld(t), newOffered(t)
			if err := has(w, "one", k); err != nil {
				t.Fatal(err)
			}
			c.end(w)
			w.now = w.now.Add(time.Second)
			w.authority.Add("two", agents.Change{})
			if err := w.certify("two", k); (err == nil) != c.free {
				t.Errorf("%s, %s: %v", path, what, err)
			}
		}
	}
}

func suspend(w *world) func(storage.Tx) error {
	return func(tx storage.Tx) error {
		n := agents.Name("one")
		if _, err := agents.Get(tx, n); err != nil {
			n = agents.OperatorName("one")
		}
		_, err := agents.Suspend(tx, n, agents.PrivilegeWithdrawn, w.now)
		return err
	}
}

// TestSharedBeforeTheRule: of two agents of an older store that have one key, the first one to
// renew goes on with it.
func TestSharedBeforeTheRule(t *testing.T) {
	w, k := newWorld(t), newOffered(t)
	w.authority.Add("one", agents.Change{})
	w.authority.Add("two", agents.Change{})
	if err := w.certify("one", k); err != nil {
		t.Fatal(err)
	}
	w.authority.Update(func(tx storage.Tx) error { // as before there was the table
		ended, err := storage.Ended(tx, w.now.Add(24*time.Hour))
		for _, name := range ended {
			if strings.HasPrefix(name, "key_owners/") {
				err = errors.Join(err, storage.DropPartition(tx, name))
			}
		}
		return err
	})
	w.authority.Update(func(tx storage.Tx) error { return agents.FillKeyOwners(tx, w.now) })
	if err := w.certify("two", k); !errors.Is(err, agents.ErrKeyShared) {
		t.Errorf("the other one: %v", err)
	}
	if err := w.certify("one", k); err != nil {
		t.Error(err)
	}
	w.authority.Update(func(tx storage.Tx) error { return agents.FillKeyOwners(tx, w.now) })
}
