package server_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// TestComponentsOfAnOlderStore: an authority whose store has no index of components
// yet knows from its next start on what was registered before.
func TestComponentsOfAnOlderStore(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	composite := must1(pqc.NewPrivateKey(pqc.MLDSA44Ed25519SHA512, slices.Concat(make([]byte, 32), edwards.Seed())))(t)
	public := func(spki []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	}
	w := servertest.New(t)
	w.Add("one", agents.Change{Keys: []string{public(pqc.MarshalPKIXPublicKey(composite.PublicKey()))}})
	w.Stop()
	db := must1(bolt.Open(w.File("brevet.db"), bolt.Options{}))(t)
	err = db.Update(t.Context(), func(tx storage.Tx) error {
		return errors.Join(tx.Drop("components"), tx.Drop("components.ends"), tx.Drop("components.complete"))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	w.Start()
	half := public(must1(x509.MarshalPKIXPublicKey(edwards.Public()))(t))
	_, err = w.Admin.AddAgent(t.Context(), "two", api.Change{Owner: new("team"), Keys: []string{half}})
	if err == nil || !strings.Contains(err.Error(), "shares a component") {
		t.Errorf("got %v, want that it shares a component", err)
	}
}
