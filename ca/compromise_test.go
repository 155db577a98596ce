package ca_test

import (
	"crypto/elliptic"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
)

// certify issues a certificate for a key, or fails.
func (w *world) certify(name agents.Name, c *ca.CSR) (*ca.Issued, error) {
	w.now = w.now.Add(time.Second)
	return w.Issue(w.t.Context(), catest.Ask(name, c))
}

// forget drops all records of certificates, as if their hours were over.
func (w *world) forget() {
	w.t.Helper()
	w.Update(func(tx storage.Tx) error {
		ended, err := storage.Ended(tx, w.now.Add(24*time.Hour))
		for _, name := range ended {
			err = errors.Join(err, storage.DropPartition(tx, name))
		}
		return err
	})
}

// TestCompromisedKeyIsNeverCertifiedAgain: not for its agent and not for another one,
// however it was revoked, before and after its keys are remembered, and when the records of
// its certificates are gone.
func TestCompromisedKeyIsNeverCertifiedAgain(t *testing.T) {
	for what, revoke := range map[string]func(*world, *ca.Issued, agents.Reason){
		"by serial number": func(w *world, c *ca.Issued, why agents.Reason) {
			must(w.Revoke(t.Context(), catest.Operator, c.ID, why))(t)
		},
		"one by one in a group": func(w *world, c *ca.Issued, why agents.Reason) {
			w.Update(func(tx storage.Tx) error {
				return agents.Revoke(tx, c.Credential, agents.Cutoff{At: w.now, Reason: why})
			})
		},
		"by agent": func(w *world, _ *ca.Issued, why agents.Reason) {
			w.Update(func(tx storage.Tx) error { return agents.CutAgent(tx, "api", agents.Cutoff{At: w.now, Reason: why}) })
		},
		"by owner": func(w *world, _ *ca.Issued, why agents.Reason) {
			w.Update(func(tx storage.Tx) error { return agents.CutOwner(tx, "team", agents.Cutoff{At: w.now, Reason: why}) })
		},
		"by agent, and then for another reason": func(w *world, _ *ca.Issued, why agents.Reason) {
			w.Update(func(tx storage.Tx) error { return agents.CutAgent(tx, "api", agents.Cutoff{At: w.now, Reason: why}) })
			w.now = w.now.Add(time.Second)
			w.Update(func(tx storage.Tx) error {
				return agents.CutAgent(tx, "api", agents.Cutoff{At: w.now, Reason: agents.Superseded})
			})
		},
	} {
		for _, why := range []agents.Reason{agents.KeyCompromise, agents.Superseded} {
			w := newWorld(t)
			w.Add("api", agents.Change{})
			w.Add("other", agents.Change{Owner: new("others")})
			c := csr(t, newECDSA(t, elliptic.P256()), nil)
			fresh := map[agents.Name]*ca.CSR{"api": csr(t, newECDSA(t, elliptic.P256()), nil), "other": csr(t, newECDSA(t, elliptic.P256()), nil)}
			issued := must(w.certify("api", c))(t)
			revoke(w, issued, why)
			for _, when := range []string{"at once", "when it is remembered", "when its records are gone"} {
				switch when {
				case "when it is remembered":
					if err := w.RememberCompromised(t.Context()); err != nil {
						t.Fatal(err)
					}
					w.View(func(tx storage.Tx) error {
						if at, err := agents.Unsettled(tx); err != nil || !at.IsZero() {
							t.Errorf("%s: still unsettled: %s, %v", what, at, err)
						}
						return nil
					})
				case "when its records are gone":
					w.forget()
				}
				for _, name := range []agents.Name{"api", "other"} {
					_, err := w.certify(name, c)
					if again := errors.Is(err, agents.ErrKeyCompromised); again != (why == agents.KeyCompromise) || again && !policy.IsDenial(err) || !again && name == "api" && err != nil {
						t.Errorf("%s, %s, %s, for %s: %v", what, why, when, name, err)
					}
					if _, err := w.certify(name, fresh[name]); err != nil {
						t.Errorf("%s, %s, %s, another key for %s: %v", what, why, when, name, err)
					}
				}
				if why != agents.KeyCompromise {
					break // the key is certified again and so not what was revoked
				}
			}
		}
	}
}

// TestRevokedWhileIssuing: keys are compared with the records before the transaction that
// records. If a revocation comes in between, the client asks again.
func TestRevokedWhileIssuing(t *testing.T) {
	w := newWorld(t)
	w.Add("api", agents.Change{})
	w.Add("other", agents.Change{Owner: new("others")})
	c := csr(t, newECDSA(t, elliptic.P256()), nil)
	must(w.certify("api", c))(t)
	w.db.afterView = func() {
		w.Update(func(tx storage.Tx) error {
			return agents.CutAgent(tx, "api", agents.Cutoff{At: w.now, Reason: agents.KeyCompromise})
		})
	}
	if _, err := w.certify("other", c); err == nil || policy.FaultOf(err) != agents.NotNow {
		t.Errorf("got %v", err)
	}
	if _, err := w.certify("other", c); !errors.Is(err, agents.ErrKeyCompromised) {
		t.Errorf("asked again: %v", err)
	}
}

// TestManyCompromisedKeys: past its quota of remembered keys an agent can still revoke,
// and gets no certificate before an operator enrolls it again.
func TestManyCompromisedKeys(t *testing.T) {
	w := newWorld(t, func(p *catest.Plan) { p.Quotas = agents.DefaultQuotas })
	w.Add("api", agents.Change{})
	w.Add("other", agents.Change{})
	live := must(w.certify("api", csr(t, newECDSA(t, elliptic.P256()), nil)))(t)
	w.Update(func(tx storage.Tx) error {
		for n := range 100 {
			if err := agents.RememberKey(tx, "api", [32]byte{byte(n)}, w.now); err != nil {
				return err
			}
		}
		return agents.RememberKey(tx, "api", [32]byte{1}, w.now) // known
	})
	many := func() (list string) {
		w.View(func(tx storage.Tx) error {
			names, err := agents.ManyCompromised(tx, agents.DefaultQuotas)
			list = fmt.Sprint(names)
			return err
		})
		return list
	}
	c := csr(t, newECDSA(t, elliptic.P256()), nil)
	if _, err := w.certify("api", c); !errors.Is(err, agents.ErrManyCompromised) || many() != "[api]" {
		t.Errorf("got %v, and %s", err, many())
	}
	w.Update(func(tx storage.Tx) error { // a quota of its own
		_, err := agents.Set(tx, catest.TrustDomain, "api", agents.Change{Quotas: map[string]int64{"compromised_keys": 101}}, w.now, components.Clearance{})
		return err
	})
	if _, err := w.certify("api", csr(t, newECDSA(t, elliptic.P256()), nil)); err != nil || many() != "[]" {
		t.Errorf("with a larger quota: %v, and %s", err, many())
	}
	must(w.Revoke(t.Context(), catest.Operator, live.ID, agents.KeyCompromise))(t)
	w.View(func(tx storage.Tx) error {
		if used, err := agents.Used(tx, "api", w.now); err != nil || used[agents.QuotaCompromised] != 101 {
			t.Errorf("used %v, %v", used, err)
		}
		return nil
	})
	if _, err := w.certify("api", c); !errors.Is(err, agents.ErrManyCompromised) || many() != "[api]" {
		t.Errorf("at the larger quota: %v, and %s", err, many())
	}
	must(w.certify("other", csr(t, newECDSA(t, elliptic.P256()), nil)))(t)
	w.Update(func(tx storage.Tx) error {
		e, err := agents.NewEnrollment(w.now)
		if err == nil {
			_, err = agents.Reenroll(tx, "api", e, w.now)
		}
		return err
	})
	if _, err := w.certify("api", c); err != nil || many() != "[]" {
		t.Errorf("enrolled again: %v, and %s", err, many())
	}
}
