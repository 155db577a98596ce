package server

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// forged adds an active key of a purpose to the store behind everybody's back, with its file.
func (a *world) forged(p keys.Purpose, alg keys.Algorithm) keys.Key {
	a.t.Helper()
	k, _, err := keyfile.NewStore(a.Dir, keyfile.NoPassphrase).Generate(p, alg, a.now())
	if err != nil {
		a.t.Fatal(err)
	}
	a.update(func(tx storage.Tx) error {
		_, err := authority.Purposes().Record(tx, k, keys.StateNext, a.now())
		if err == nil {
			_, err = authority.Purposes().PromoteEarly(tx, k.ID, a.now())
		}
		return err
	})
	return k
}

// said appends to the log that a key was announced.
func (a *world) said(k keys.Key) {
	a.t.Helper()
	a.update(func(tx storage.Tx) error {
		e := audit.Event{Time: a.now(), Actor: "uid=0", Action: audit.KeyAnnounce, Subject: string(k.Purpose), Decision: audit.Allow, Details: &audit.Details{To: k.ID}}
		_, err := audit.Append(tx, e)
		return err
	})
}

// signedByThief saves a checkpoint that an audit key of an attacker signed.
func (a *world) signedByThief() {
	a.t.Helper()
	k := a.forged(keys.Audit, keys.Ed25519)
	private, err := keyfile.NewStore(a.Dir, keyfile.NoPassphrase).Signer(k)
	if err != nil {
		a.t.Fatal(err)
	}
	s, err := audit.NewSigner("example.internal/brevet-audit", private)
	if err != nil {
		a.t.Fatal(err)
	}
	a.update(func(tx storage.Tx) error {
		signed, err := audit.Sign(tx, s)
		if err != nil {
			return err
		}
		return audit.Save(tx, signed)
	})
}

// TestRestoreTakesNoForgedKey: somebody who could write to the replaced store added a token key,
// also with an event that names it, which no checkpoint of the authority covers.
func TestRestoreTakesNoForgedKey(t *testing.T) {
	for what, edit := range map[string]func(*world, keys.Key){
		"the key alone":            func(*world, keys.Key) {},
		"with an event":            (*world).said,
		"with another's signature": func(a *world, k keys.Key) { a.said(k); a.signedByThief() },
		"without a checkpoint": func(a *world, k keys.Key) {
			a.said(k)
			a.update(func(tx storage.Tx) error { return tx.Delete("audit.checkpoint", "latest") })
		},
	} {
		t.Run(what, func(t *testing.T) {
			a := newAuthority(t)
			file, mine := a.backup(t), a.key(t, keys.Tokens, keys.StateActive)
			rotated(t, a.operate("POST", "/keys/audit/rotate", nil))
			issuer := rotated(t, a.operate("POST", "/keys/issuer/rotate?now=true", nil))
			k := a.forged(keys.Tokens, keys.ECDSAP256)
			edit(a, k)
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			r, err := Restore(t.Context(), RestoreConfig{Dir: a.Dir, File: file}, a.now())
			if err != nil || !slices.Contains(r.Unproven, k.ID) || slices.Contains(r.KeysTaken, "tokens") {
				t.Fatalf("%+v, %v", r, err)
			}
			a.restarted(t)
			if got := a.key(t, keys.Tokens, keys.StateActive); got != mine {
				t.Errorf("token key %s, want %s", got, mine)
			}
			signed := len(r.Unproven) == 1
			if took := a.authority.CA.Issuer().ID == issuer.ID; took != signed || signed != (r.Unsigned == "") {
				t.Errorf("the issuer that was made after the backup is taken: %v; %+v", took, r)
			}
		})
	}
}

// TestRestoreTakesKeysMadeAlong: every key that one event made is proven, also those of other
// purposes.
func TestRestoreTakesKeysMadeAlong(t *testing.T) {
	for _, path := range []string{"issuer/rotate?algorithm=mldsa44", "issuer/rotate?algorithm=mldsa44&now=true", "root/rotate?algorithm=mldsa44", "root/rotate?algorithm=mldsa44&compromised=true"} {
		a := newAuthority(t)
		file := a.backup(t)
		rotated(t, a.operate("POST", "/keys/"+path, nil))
		later := a.allKeys()
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Restore(t.Context(), RestoreConfig{Dir: a.Dir, File: file, KeepIssued: true}, a.now())
		if err != nil || r.Unproven != nil {
			t.Fatalf("%s: %+v, %v", path, r, err)
		}
		a.restarted(t)
		if got := a.allKeys(); !slices.Equal(got, later) {
			t.Errorf("%s: the keys are\n%q, want\n%q", path, got, later)
		}
	}
}

// allKeys returns all keys with their states.
func (a *world) allKeys() (list []string) {
	a.t.Helper()
	for _, k := range decoded[[]api.Key](a.t, a.operate("GET", "/keys", nil)) {
		list = append(list, k.Purpose+" "+k.ID+" "+k.State)
	}
	return list
}

// TestRestoreKeepsAWaitingIssuer: an issuer that waited for the certificate of its root, or was
// announced, still does after the restore, and signs in the end.
func TestRestoreKeepsAWaitingIssuer(t *testing.T) {
	for _, before := range []bool{true, false} { // the backup is from before the key
		a := newAuthority(t)
		safe := a.lockAway()
		file := a.backup(t)
		asked := a.askRoot("issuer")
		if !before {
			file = a.backup(t)
		}
		a.restoredFrom(t, file)
		again := a.askRoot("issuer") // the lists have other numbers
		k := decoded[api.Installed](t, a.installNow(a.signElsewhere(safe, again, 2))).Keys
		if got := a.authority.CA.Issuer().ID; len(k) != 1 || got != k[0].ID || got != asked.Keys[0].ID {
			t.Errorf("issuer %s, want %+v", got, asked.Keys)
		}
	}
}

// TestRestoreKeepsAnAnnouncedIssuer, which signs when its time has come.
func TestRestoreKeepsAnAnnouncedIssuer(t *testing.T) {
	a := newAuthority(t)
	file := a.backup(t)
	a.set(a.now().Add(80 * 24 * time.Hour))
	a.restarted(t)
	if err := a.authority.RotateDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := a.key(t, keys.Issuer, keys.StateNext)
	a.restoredFrom(t, file)
	if got := a.key(t, keys.Issuer, keys.StateNext); got != next {
		t.Fatalf("%s waits, want %s", got, next)
	}
	a.set(a.now().Add(48 * time.Hour))
	a.restarted(t)
	if err := a.authority.PromoteDue(t.Context()); err != nil || a.authority.CA.Issuer().ID != next {
		t.Errorf("issuer %s, want %s: %v", a.authority.CA.Issuer().ID, next, err)
	}
}

// restoredFrom stops the authority, restores a backup and starts it again.
func (a *world) restoredFrom(t *testing.T, file string) *Restored {
	t.Helper()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Restore(t.Context(), RestoreConfig{Dir: a.Dir, File: file, KeepIssued: true}, a.now())
	if err != nil || r.Unproven != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	a.restarted(t)
	return r
}

// TestRestoreByAnExportAfterACompromise: the store is lost and the issuer of the backup is
// compromised since, as an export of the log says. Nothing tells of the key that came next, so
// a new one is made.
func TestRestoreByAnExportAfterACompromise(t *testing.T) {
	a := newAuthority(t)
	old := a.authority.CA.Issuer()
	cert := a.enrolled("bot")
	file := a.backup(t)
	next := rotated(t, a.operate("POST", "/keys/issuer/rotate?compromised=true", nil))
	export := filepath.Join(t.TempDir(), "export")
	var lines []byte
	for _, e := range a.log(0) {
		lines = append(append(lines, e.JSON()...), '\n')
	}
	if err := os.WriteFile(export, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a.remove(t, "brevet.db")
	restore := RestoreConfig{Dir: a.Dir, File: file, Log: export, KeepIssued: true}
	if _, err := Restore(t.Context(), restore, a.now()); err == nil || !strings.Contains(err.Error(), "--new-keys") {
		t.Errorf("without --new-keys: %v", err)
	}
	restore.NewKeys = true
	r, err := Restore(t.Context(), restore, a.now())
	if err != nil || r.Unknown != "" || len(r.KeysMade) != 1 || !slices.Equal(r.KeysLost, []string{old.ID}) {
		t.Fatalf("%+v, %v", r, err)
	}
	a.restarted(t)
	if got := a.authority.CA.Issuer().ID; got == old.ID || got == next.ID || got != r.KeysMade[0] {
		t.Errorf("issuer %s, want %q", got, r.KeysMade)
	}
	a.checkRevoked(t, old)
	if got := a.renew(cert); got.status != http.StatusOK {
		t.Errorf("renewing: %d %s", got.status, got.body)
	}
}
