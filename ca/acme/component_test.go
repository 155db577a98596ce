package acme

import (
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
)

// newComposite returns a user whose key is the Ed25519 half of a composite, and
// the payload that asks for a certificate of the composite.
func (w *world) newComposite(name string) (half *user, csr string) {
	w.t.Helper()
	_, edwards, err := ed25519.GenerateKey(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	whole := must(pqc.NewPrivateKey(pqc.MLDSA44Ed25519SHA512, slices.Concat(make([]byte, 32), edwards.Seed())))(w.t)
	der := must(pkix.CreateCSR(&x509.CertificateRequest{DNSNames: []string{name}}, must(pkix.NewSigner(whole))(w.t)))(w.t)
	return &user{w: w, signer: edwards}, `{"csr":"` + b64(der) + `"}`
}

// TestComponentIsNoAccountKey: a half of a composite key that is certified opens
// no account, and becomes no account's key.
func TestComponentIsNoAccountKey(t *testing.T) {
	const name = "bot.example.internal"
	w := newWorld(t)
	c := w.open("bot", agents.Change{})
	half, csr := w.newComposite(name)
	c.post(c.order(name)+"/finalize", csr).is(t, "the composite", "")
	e := w.authority.Add("other", agents.Change{})
	half.post("/acme/new-account", half.binding(e, nil)).is(t, "an account with a half", "badPublicKey")
	c.post("/acme/key-change", c.keyChange(half, nil)).is(t, "a change to a half", "badPublicKey")
	w.user().bind(e) // which was not used up
	c.post(c.path(), "").is(t, "the key of before", "")
}

// TestAccountKeyIsNoComponent: no composite has the key of an account for a half,
// until the account has another.
func TestAccountKeyIsNoComponent(t *testing.T) {
	const name = "bot.example.internal"
	w := newWorld(t)
	c := w.open("bot", agents.Change{})
	half, csr := w.newComposite(name)
	half.bind(w.authority.Add("other", agents.Change{}))
	order := c.order(name)
	c.post(order+"/finalize", csr).is(t, "a composite", "malformed")

	// As in a store of before there was an index.
	w.authority.Update(func(tx storage.Tx) error {
		return errors.Join(tx.Drop("components"), tx.Drop("components.ends"), tx.Drop("components.complete"))
	})
	w.authority.Update(func(tx storage.Tx) error { return components.Fill(tx, w.now, KeyUses(tx)) })
	c.post(c.order(name)+"/finalize", csr).is(t, "a composite, after indexing", "malformed")

	half.post("/acme/key-change", half.keyChange(w.user(), nil)).is(t, "a key change", "")
	c.post(c.order(name)+"/finalize", csr).is(t, "the composite, when the account has another key", "")
}
