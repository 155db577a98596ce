package server

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// everyRoot has a rotation of a root for each kind, old or new.
var everyRoot = map[string]string{
	"ecdsa-p256": "mldsa65-ecdsa-p256-sha512", "mldsa65-ecdsa-p256-sha512": "ecdsa-p256+mldsa65", "ecdsa-p256+mldsa65": "mldsa44", "mldsa44": "ecdsa-p256",
}

// blocks returns the DER in a PEM document, by the type of its blocks.
func (a *world) blocks(t *testing.T, path string) map[string][][]byte {
	t.Helper()
	got := a.ask(a.agents, "GET", path, "", "", nil)
	all := map[string][][]byte{}
	for block, rest := pem.Decode([]byte(got.body)); block != nil; block, rest = pem.Decode(rest) {
		all[block.Type] = append(all[block.Type], block.Bytes)
	}
	return all
}

// checkUnder verifies an agent's new certificate under each published root alone, and what
// the answer says of the roots.
func (a *world) checkUnder(t *testing.T, cert *x509.Certificate, want int) {
	t.Helper()
	got := a.renew(cert)
	var chain []*pkix.Certificate
	text := fmt.Sprint(got.json["certificate"], got.json["chain"])
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		c, err := pkix.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, c)
	}
	verified := 0
	var prints []string
	for _, der := range a.blocks(t, "/roots.pem")["CERTIFICATE"] {
		hash := sha256.Sum256(der)
		prints = append(prints, hex.EncodeToString(hash[:]))
		root, err := pkix.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := chain[0].Verify(&pkix.Options{Roots: []*pkix.Certificate{root}, Intermediates: chain[1:], Time: a.now(), Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
			verified++
		}
	}
	if verified != want {
		t.Errorf("it verifies under %d roots, want %d", verified, want)
	}
	var said []string
	for _, one := range got.json["roots"].([]any) {
		said = append(said, one.(string))
	}
	slices.Sort(said)
	slices.Sort(prints)
	if !slices.Equal(said, prints) {
		t.Errorf("the answer has the roots %v, want %v", said, prints)
	}
}

// TestRootRotates, of every kind, over the ends of the process.
func TestRootRotates(t *testing.T) {
	for from, to := range everyRoot {
		t.Run(from, func(t *testing.T) {
			a := newAuthority(t, func(c *InitConfig) { c.Algorithm = from })
			cert := a.enrolled("bot")
			old := a.authority.CRL.Roots()
			a.set(a.now().Add(time.Minute))
			next := rotated(t, a.operate("POST", "/keys/root/rotate?algorithm="+strings.ReplaceAll(to, "+", "%2B"), nil))
			if next.State != "next" || next.Algorithm != to {
				t.Errorf("%+v", next)
			}
			a.checkUnder(t, cert, 2)
			a.restarted(t)
			a.checkUnder(t, cert, 2)
			cross := a.blocks(t, "/roots/cross.pem")
			if n, lists := len(cross["CERTIFICATE"]), len(cross["X509 CRL"]); n < 2 || lists < 2 {
				t.Errorf("%d cross-certificates and %d lists", n, lists)
			}
			for _, der := range cross["CERTIFICATE"] {
				if c, err := x509.ParseCertificate(der); err != nil || !c.IsCA || c.KeyUsage != x509.KeyUsageCRLSign {
					t.Errorf("a cross-certificate that may be part of a path: %+v, %v", c, err)
				}
			}
			rotated(t, a.operate("POST", "/keys/issuer/rotate?now=true", nil))
			a.checkUnder(t, cert, 2)
			var first string
			for _, k := range old {
				if k.Root == a.key(t, keys.Root, keys.StateActive) {
					first = k.Root
				}
			}
			a.operate("POST", "/keys/"+first+"/withdraw", nil)
			a.checkUnder(t, cert, 1)
			a.restarted(t)
			a.checkUnder(t, cert, 1)
			if got := a.key(t, keys.Root, keys.StateActive); got != next.ID {
				t.Errorf("%s leads, want %s", got, next.ID)
			}
			if l := a.list(next.ID); len(l.RevokedCertificateEntries) != 1 {
				t.Errorf("the new root lists %d certificates, want the cross-certificate of the old one", len(l.RevokedCertificateEntries))
			}
			a.list(first) // which still has its last list
			if found := problemsOf(t, a.authority); found != nil {
				t.Errorf("problems: %q", found)
			}
		})
	}
}

// key returns the only key of a purpose in a state.
func (a *world) key(t *testing.T, p keys.Purpose, s keys.State) string {
	t.Helper()
	all, err := a.keysOf(p)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(k keys.Key) bool { return k.State == s })
	if i < 0 {
		t.Fatalf("no %s is %s", p, s)
	}
	return all[i].ID
}

// TestStolenRootVouchesForNobody: the old root is gone at once, its key file, too, and no
// cross-certificate leads from it to the new one. The issuers go on.
func TestStolenRootVouchesForNobody(t *testing.T) {
	for algorithm := range everyRoot {
		t.Run(algorithm, func(t *testing.T) {
			a := newAuthority(t, func(c *InitConfig) { c.Algorithm = algorithm })
			cert := a.enrolled("bot")
			issuer, old := a.authority.CA.Issuer().ID, a.key(t, keys.Root, keys.StateActive)
			next := rotated(t, a.operate("POST", "/keys/root/rotate?compromised=true", nil))
			if next.State != "active" || next.ID == old || a.keyFiles(keys.Root) != 1 || a.authority.CA.Issuer().ID != issuer {
				t.Errorf("%+v, %d key files", next, a.keyFiles(keys.Root))
			}
			for range 2 {
				if cross := a.blocks(t, "/roots/cross.pem")["CERTIFICATE"]; len(cross) > 0 {
					t.Errorf("%d cross-certificates", len(cross))
				}
				a.checkUnder(t, cert, 1)
				if a.keyFiles(keys.Root) != 1 {
					t.Errorf("%d key files of roots", a.keyFiles(keys.Root))
				}
				a.restarted(t)
			}
		})
	}
}

// TestARootThatHasLedDoesNotLeadAgain: after a rotation with --now, the refusal to withdraw the
// new root names the two roots and what is possible.
func TestARootThatHasLedDoesNotLeadAgain(t *testing.T) {
	a := newAuthority(t)
	old := a.key(t, keys.Root, keys.StateActive)
	a.operate("POST", "/keys/root/rotate", nil)
	a.operate("POST", "/keys/root/rotate?now=true", nil)
	now := a.key(t, keys.Root, keys.StateActive)
	got := a.ask(a.operators, "POST", "/keys/"+now+"/withdraw", "", "", nil)
	want := fmt.Sprintf("the root %s has taken the place of %s, which cannot lead again; brevet key withdraw %[2]s ends the old one", now, old)
	if got.status != 409 || !strings.Contains(got.body, want) {
		t.Errorf("%d %s, want 409 and %q", got.status, got.body, want)
	}
}

// TestRestoreWithdrawsARootAgain: a backup from between the two steps of a rotation is restored.
func TestRestoreWithdrawsARootAgain(t *testing.T) {
	a := newAuthority(t)
	old := a.key(t, keys.Root, keys.StateActive)
	before := a.backup(t)
	next := rotated(t, a.operate("POST", "/keys/root/rotate", nil))
	between := a.backup(t)
	a.operate("POST", "/keys/"+old+"/withdraw", nil)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Restore(t.Context(), RestoreConfig{Dir: a.Dir, File: between, KeepIssued: true}, a.now())
	if err != nil || !slices.Equal(r.Applied, []string{"key.withdraw root"}) || r.LostRoots != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	a.restarted(t)
	if got := a.key(t, keys.Root, keys.StateActive); got != next.ID {
		t.Errorf("%s leads, want %s", got, next.ID)
	}
	if err := errors.Join(a.Close(), os.Remove(filepath.Join(a.Dir, "brevet.db.before-restore"))); err != nil {
		t.Fatal(err)
	}
	r, err = Restore(t.Context(), RestoreConfig{Dir: a.Dir, File: before, KeepIssued: true}, a.now())
	if err != nil || r.LostRoots != nil || !slices.Contains(r.KeysTaken, "root") {
		t.Fatalf("%+v, %v", r, err)
	}
	a.restarted(t)
	if got := a.key(t, keys.Root, keys.StateActive); got != next.ID {
		t.Errorf("%s leads after the restore of a backup that does not know it, want %s", got, next.ID)
	}
}

func (a *world) backup(t *testing.T) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "backup"))
	if err == nil {
		err = errors.Join(a.db.Backup(t.Context(), f), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func (a *world) keysOf(p keys.Purpose) (all []keys.Key, err error) {
	err = a.db.View(a.t.Context(), func(tx storage.Tx) error {
		all, err = keys.List(tx, p)
		return err
	})
	return all, err
}
