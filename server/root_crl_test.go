package server

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
)

// TestEveryRootPublishesItsCRL, of every kind of authority, from its first start on.
func TestEveryRootPublishesItsCRL(t *testing.T) {
	for algorithm, want := range map[string]int{"ecdsa-p256": 1, "ecdsa-p256+mldsa65": 1, "mldsa65-ecdsa-p256-sha512": 2, "mldsa44": 2} {
		a := newAuthority(t, func(c *InitConfig) { c.Algorithm = algorithm })
		p, err := a.authority.Published(t.Context())
		if err != nil || len(p.Roots) != want {
			t.Fatalf("%s: %d roots, want %d; %v", algorithm, len(p.Roots), want, err)
		}
		for _, r := range a.authority.CRL.Roots() {
			got := a.ask(a.public, "GET", ca.CRLPath(r.Root), "", "", nil)
			list, err1 := pkix.ParseCRL([]byte(got.body))
			root, err2 := pkix.ParseCertificate(p.ByID[r.Root])
			if err := errors.Join(err1, err2); err != nil {
				t.Fatalf("%s: %d: %v", algorithm, got.status, err)
			}
			if _, err := list.CheckSignatureFrom(root); err != nil || list.X509.Number.Int64() != 1 {
				t.Errorf("%s: list %d: %v", algorithm, list.X509.Number, err)
			}
		}
		if got := about(t, a.authority, "root-"); got != nil {
			t.Errorf("%s: %q", algorithm, got)
		}
	}
}

// TestStatusWarnsOfTheRootsCRL: when it ends soon, and before the first one, as in the store of
// an earlier version whose root is kept elsewhere. The server stays ready.
func TestStatusWarnsOfTheRootsCRL(t *testing.T) {
	a := newAuthority(t, func(c *InitConfig) { c.IssuerLifetime = 400 * 24 * time.Hour })
	warned := func(what, text string) {
		t.Helper()
		if err := a.authority.CRL.PublishRoots(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(about(t, a.authority, "root-"), "; ")
		if !strings.Contains(got, text) || (got == "") != (text == "") {
			t.Errorf("%s: it warns %q, want %q", what, got, text)
		}
		if _, err := a.authority.CRL.PublishRegular(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, ready := a.authority.Ready(t.Context()); !ready {
			t.Errorf("%s: not ready", what)
		}
	}
	files, _ := filepath.Glob(filepath.Join(a.Dir, "root-*.key"))
	if len(files) != 1 {
		t.Fatalf("%q", files)
	}
	if err := os.Rename(files[0], files[0]+".away"); err != nil {
		t.Fatal(err)
	}
	warned("at first", "")
	a.set(dawn.Add(60 * 24 * time.Hour))
	warned("after two months", "")
	id := a.authority.CRL.Roots()[0].Root
	var record []byte
	err := a.db.Update(t.Context(), func(tx storage.Tx) error {
		stored, err := tx.Get("root_crl", id)
		record = bytes.Clone(stored)
		return errors.Join(err, tx.Delete("root_crl", id))
	})
	if err != nil {
		t.Fatal(err)
	}
	warned("without a list", "the root "+id+" has signed no CRL")
	if err := a.db.Update(t.Context(), func(tx storage.Tx) error { return tx.Put("root_crl", id, record) }); err != nil {
		t.Fatal(err)
	}
	warned("with it again", "")
	a.set(dawn.Add(151 * 24 * time.Hour))
	warned("after five months", "the last CRL that the root "+id+" has signed ends at ")
	if err := os.Rename(files[0]+".away", files[0]); err != nil {
		t.Fatal(err)
	}
	warned("with the key", "")
	if got := a.authority.CRL.Roots()[0].Current.Number; got != 3 {
		t.Errorf("list %d, want 3", got)
	}
}
