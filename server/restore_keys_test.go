package server

import (
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestRestoreTakesLaterKeys: after the backup, the issuer and the token key were
// compromised and their files destroyed. The replaced store knows the keys that came next.
func TestRestoreTakesLaterKeys(t *testing.T) {
	a := newAuthority(t)
	old := a.authority.CA.Issuer()
	cert := a.enrolled("bot")
	file := a.backup(t)
	issuer := rotated(t, a.operate("POST", "/keys/issuer/rotate?compromised=true", nil))
	signer := rotated(t, a.operate("POST", "/keys/tokens/rotate?compromised=true", nil))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Restore(t.Context(), RestoreConfig{Dir: a.Dir, File: file, KeepIssued: true}, a.now())
	if err != nil || !slices.Equal(r.KeysTaken, []string{"issuer", "tokens"}) || r.KeysLost != nil || r.KeysMade != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	a.restarted(t)
	if got := a.authority.CA.Issuer().ID; got != issuer.ID {
		t.Errorf("issuer %s, want %s", got, issuer.ID)
	}
	if got := a.key(t, keys.Tokens, keys.StateActive); got != signer.ID {
		t.Errorf("token key %s, want %s", got, signer.ID)
	}
	a.checkEnded(t, old, cert)
	if got := a.renew(cert); got.status != http.StatusOK {
		t.Errorf("renewing: %d %s", got.status, got.body)
	}
}

// TestRestoreAfterKeysWereDestroyed: the keys of the backup were replaced and destroyed, and
// are on no record any more.
func TestRestoreAfterKeysWereDestroyed(t *testing.T) {
	a := newAuthority(t)
	a.authority.Clock = clock.Believing(a.now) // else its jumps are in doubt
	signer := a.key(t, keys.Tokens, keys.StateActive)
	issuer, file := a.authority.CA.Issuer().ID, a.backup(t)
	rotated(t, a.operate("POST", "/keys/tokens/rotate?now=true", nil))
	rotated(t, a.operate("POST", "/keys/issuer/rotate?now=true", nil))
	a.set(a.now().Add(3 * time.Hour))
	for _, id := range []string{signer, issuer} {
		if got := a.operate("POST", "/keys/"+id+"/destroy", nil); got.status != http.StatusOK {
			t.Fatalf("destroying: %d %s", got.status, got.body)
		}
	}
	active := a.key(t, keys.Tokens, keys.StateActive)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), RestoreConfig{Dir: a.Dir, File: file}, a.now()); err != nil {
		t.Fatal(err)
	}
	a.restarted(t)
	if got := a.key(t, keys.Tokens, keys.StateActive); got != active || a.authority.CA.Issuer().ID == issuer {
		t.Errorf("token key %s, issuer %s", got, a.authority.CA.Issuer().ID)
	}
}

// TestRestoreMakesNewKeys: key files are gone, and nothing tells of later keys.
func TestRestoreMakesNewKeys(t *testing.T) {
	for _, missing := range []string{"", "root-*.key"} {
		a := newAuthority(t)
		old := a.authority.CA.Issuer()
		cert := a.enrolled("bot")
		file := a.backup(t)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		a.remove(t, "brevet.db", "issuer-*.key", "tokens-*.key", "audit-*.key", missing)
		restore := RestoreConfig{Dir: a.Dir, File: file, KeepIssued: true}
		if _, err := Restore(t.Context(), restore, a.now()); err == nil || !strings.Contains(err.Error(), "--new-keys") {
			t.Errorf("unasked: %v", err)
		}
		restore.NewKeys = true
		r, err := Restore(t.Context(), restore, a.now())
		if missing != "" {
			if err == nil || !strings.Contains(err.Error(), "put its file into") || a.keyFiles(keys.Issuer) != 0 || a.keyFiles(keys.Tokens) != 0 {
				t.Errorf("without the root: %v, %d and %d key files are left", err, a.keyFiles(keys.Issuer), a.keyFiles(keys.Tokens))
			}
			continue
		}
		if err != nil || len(r.KeysLost) != 3 || len(r.KeysMade) != 3 {
			t.Fatalf("%+v, %v", r, err)
		}
		a.restarted(t)
		if got := a.authority.CA.Issuer().ID; got == old.ID {
			t.Error("the issuer is the one that is gone")
		}
		if got := a.renew(cert); got.status != http.StatusOK {
			t.Errorf("renewing: %d %s", got.status, got.body)
		}
	}
}

// TestRestoreMakesNewKeysForTheURL that the authority had moved to before the backup: the
// URL in brevet.yaml is an earlier one. The sinks of the audit log follow the move, too.
func TestRestoreMakesNewKeysForTheURL(t *testing.T) {
	a := newAuthority(t)
	from := sinksFrom(a.file, a.authority.Address.Current, "test")
	a.operate("POST", "/readdress", api.ReaddressRequest{URL: "https://pki.example", Until: a.now().Add(time.Hour)})
	if got := from.Host(); got != "pki.example" {
		t.Errorf("events are sent in the name of %s", got)
	}
	file := a.backup(t)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a.remove(t, "brevet.db", "issuer-*.key")
	if _, err := Restore(t.Context(), RestoreConfig{Dir: a.Dir, File: file, NewKeys: true}, a.now()); err != nil {
		t.Fatal(err)
	}
	a.restarted(t)
	issuer, err := x509.ParseCertificate(a.authority.CA.Issuer().Certificate())
	if err != nil {
		t.Fatal(err)
	}
	if got := issuer.CRLDistributionPoints; len(got) != 1 || !strings.HasPrefix(got[0], a.authority.BaseURL()+"/") || !strings.HasPrefix(got[0], "http://pki.example") {
		t.Errorf("the new issuer names %v, want %s", got, a.authority.BaseURL())
	}
}

// TestRestoreOfACompromisedRoot: the root of the backup is compromised since, and does not
// come back.
func TestRestoreOfACompromisedRoot(t *testing.T) {
	a := newAuthority(t)
	file := a.backup(t)
	next := rotated(t, a.operate("POST", "/keys/root/rotate?compromised=true", nil))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := Restore(t.Context(), RestoreConfig{Dir: a.Dir, File: file}, a.now()); err != nil || !slices.Contains(r.KeysTaken, "root") {
		t.Fatalf("%+v, %v", r, err)
	}
	a.restarted(t)
	if got := a.key(t, keys.Root, keys.StateActive); got != next.ID {
		t.Errorf("%s leads, want %s", got, next.ID)
	}
	if got := a.authority.CA.RootFingerprints(); len(got) != 1 {
		t.Errorf("roots %q are published", got)
	}
}

func (a *world) remove(t *testing.T, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		found, _ := filepath.Glob(filepath.Join(a.Dir, p))
		for _, name := range found {
			if p == "" {
				continue
			}
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}
