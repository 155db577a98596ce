package server

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/ceremony"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// everyKind has one algorithm of each kind of authority.
var everyKind = []string{"ecdsa-p256", "ecdsa-p256+mldsa65", "mldsa65-ecdsa-p256-sha512", "mldsa44"}

// lockAway takes the files of the roots' keys out of the directory and returns where they are.
func (a *world) lockAway() (safe string) {
	a.t.Helper()
	safe = a.t.TempDir()
	files, _ := filepath.Glob(filepath.Join(a.Dir, "*root-*.key"))
	for _, f := range files {
		if err := os.Rename(f, filepath.Join(safe, filepath.Base(f))); err != nil {
			a.t.Fatal(err)
		}
	}
	return safe
}

// decoded decodes an answer to an operator.
func decoded[T any](t testing.TB, r reply) (v T) {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// signElsewhere has a root in the safe sign what is asked of it.
func (a *world) signElsewhere(safe string, r api.RootRequest, lists int) string {
	a.t.Helper()
	request, plan, err := ReadRootRequest([]byte(r.Request), lists, a.now())
	if err != nil {
		a.t.Fatal(err)
	}
	if plan.Fingerprint != r.Fingerprint || plan.Root != r.Root || len(plan.Issuers) != len(r.Keys) {
		a.t.Errorf("planned is %+v for %+v", plan, r)
	}
	passphrase := NoPassphrase
	file := filepath.Join(safe, "passphrase")
	if _, missing := os.Stat(file); missing == nil {
		if passphrase, err = ReadPassphrase(file); err != nil {
			a.t.Fatal(err)
		}
	}
	at := RootKeys{Passphrase: passphrase}
	for _, root := range append(r.Beside, r.Root) {
		at.Files = append(at.Files, filepath.Join(safe, r.Purpose+"-"+root[:16]+".key"))
	}
	signed, _, err := SignRootRequest(request, plan, at)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(signed.Marshal())
}

func (a *world) askRoot(path string) api.RootRequest {
	a.t.Helper()
	return decoded[api.RootRequest](a.t, a.operate("POST", "/keys/"+path+"/request", nil))
}

func (a *world) install(response string) reply {
	a.t.Helper()
	return a.postJSON(a.operators, "/keys/install", api.InstallRequest{Response: response}, nil)
}

// installNow is install for an issuer that signs at once.
func (a *world) installNow(response string) reply {
	a.t.Helper()
	return a.postJSON(a.operators, "/keys/install", api.InstallRequest{Response: response, Now: true}, nil)
}

// TestIssuerIsRotatedByARootElsewhere, of every kind: the request is made, signed and installed; agents
// renew, and the lists last for as long as the root signed.
func TestIssuerIsRotatedByARootElsewhere(t *testing.T) {
	for _, algorithm := range everyKind {
		t.Run(algorithm, func(t *testing.T) {
			a := newAuthority(t, func(c *InitConfig) { c.Algorithm = algorithm })
			old := a.authority.CA.Issuer()
			cert := a.enrolled("bot")
			safe := a.lockAway()
			if got := a.postJSON(a.operators, "/keys/issuer/rotate", struct{}{}, nil); got.status != http.StatusConflict || !strings.Contains(got.body, "brevet key request issuer") {
				t.Errorf("rotating here: %d %s", got.status, got.body)
			}
			r := a.askRoot("issuer")
			if len(r.Keys) != 1 || r.Keys[0].State != "next" || r.Keys[0].Algorithm != algorithm {
				t.Fatalf("%+v", r)
			}
			if again := a.askRoot("issuer"); len(again.Keys) != 1 || again.Keys[0].ID != r.Keys[0].ID {
				t.Errorf("asked again: %+v", again.Keys)
			}
			a.set(a.now().Add(time.Minute))
			installed := decoded[api.Installed](t, a.installNow(a.signElsewhere(safe, r, 3)))
			if len(installed.Keys) != 1 || installed.Keys[0].State != "active" || installed.Keys[0].ID != r.Keys[0].ID || len(installed.CRLs) != 3 || installed.CRLs[0] != 3 {
				t.Errorf("%+v", installed)
			}
			if now := a.authority.CA.Issuer(); now.ID != r.Keys[0].ID || now.NotAfter.Sub(now.NotBefore) != old.NotAfter.Sub(old.NotBefore) {
				t.Errorf("the issuer is %s from %s to %s", now.ID, now.NotBefore, now.NotAfter)
			}
			if got := a.renew(cert); got.status != http.StatusOK {
				t.Errorf("renewing: %d %s", got.status, got.body)
			}
			if !a.authority.RootCRLEnds().Before(a.now().Add(97*24*time.Hour)) && algorithm[0] == 'e' {
				t.Errorf("the root's lists end at %s", a.authority.RootCRLEnds())
			}
			a.restarted(t)
			if reasons := a.authority.Health(t.Context()); reasons != nil {
				t.Errorf("not well: %q", reasons)
			}
		})
	}
}

// TestStolenIssuerUnderARootElsewhere, of every kind: the issuer is stopped at once and the status is
// critical until its successor and the CRL of the root are installed; HTTPS goes on, also
// after a restart.
func TestStolenIssuerUnderARootElsewhere(t *testing.T) {
	for _, algorithm := range everyKind {
		t.Run(algorithm, func(t *testing.T) {
			a := newAuthority(t, func(c *InitConfig) { c.Algorithm = algorithm })
			old := a.authority.CA.Issuer()
			first, second, gone := a.enrolled("first"), a.enrolled("second"), a.enrolled("gone")
			a.operate("POST", "/agents/gone/suspend", nil)
			safe := a.lockAway()
			early := a.askRoot("issuer") // the thief may have this key, too
			a.set(a.now().Add(time.Minute))
			k := rotated(t, a.operate("POST", "/keys/issuer/rotate?compromised=true", nil))
			if k.State != "next" || k.Ended == nil || k.Ended.Certificates != 2 || k.Request == nil || len(k.Request.Keys) != 1 || k.Request.Keys[0].ID != k.ID || k.ID == early.Keys[0].ID {
				t.Fatalf("%+v", k)
			}
			if got := a.install(a.signElsewhere(safe, early, 2)); got.status != http.StatusConflict {
				t.Errorf("the key that waited before: %d %s", got.status, got.body)
			}
			stopped := func() {
				t.Helper()
				for id, want := range map[string]string{"key-compromised": "run brevet key request issuer", "root-crl-lacks-issuer": "does not revoke the CA " + old.ID} {
					if told := about(t, a.authority, id); len(told) != 1 || !strings.Contains(told[0], want) {
						t.Errorf("%s: %q", id, told)
					}
				}
				if got := a.renew(first); got.status != http.StatusServiceUnavailable {
					t.Errorf("renewing: %d %s", got.status, got.body)
				}
				if c := a.authority.Own.Current(); c == nil || !a.now().Before(c.Leaf.NotAfter) {
					t.Error("there is no certificate for HTTPS")
				}
			}
			stopped()
			a.restarted(t)
			stopped()
			if got := a.install(a.signElsewhere(safe, a.askRoot("root"), 2)); got.status != http.StatusOK {
				t.Errorf("installing: %d %s", got.status, got.body)
			}
			a.checkEnded(t, old, first, second, gone)
			a.restarted(t)
			a.checkEnded(t, old, first, second, gone)
		})
	}
}

// TestInstallRefuses what is not what was asked for, and changes nothing.
func TestInstallRefuses(t *testing.T) {
	a := newAuthority(t)
	safe := a.lockAway()
	r := a.askRoot("issuer")
	good := a.signElsewhere(safe, r, 2)
	other := newAuthority(t)
	otherSafe := other.lockAway()
	parsed, err := ceremony.ParseResponse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	swapped := ceremony.Response{Certificates: parsed.Certificates, Lists: []ceremony.List{parsed.Lists[1], parsed.Lists[0]}}
	mixed := ceremony.Response{Lists: []ceremony.List{{CRL: parsed.Lists[0].CRL, Answers: parsed.Lists[1].Answers}}}
	twice := ceremony.Response{Certificates: append(parsed.Certificates, parsed.Certificates[0])}
	for what, c := range map[string]struct {
		response string
		status   int
	}{
		"nothing":           {"", http.StatusBadRequest},
		"a request":         {r.Request, http.StatusBadRequest},
		"with words after":  {good + "and so on\n", http.StatusBadRequest},
		"of another":        {other.signElsewhere(otherSafe, other.askRoot("issuer"), 1), http.StatusBadRequest},
		"lists swapped":     {string(swapped.Marshal()), http.StatusBadRequest},
		"answers mixed":     {string(mixed.Marshal()), http.StatusBadRequest},
		"certificate twice": {string(twice.Marshal()), http.StatusConflict},
	} {
		if got := a.install(c.response); got.status != c.status {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	if got := a.askRoot("issuer"); got.Keys[0].ID != r.Keys[0].ID {
		t.Errorf("another key waits: %+v", got.Keys)
	}
	if got := a.install(good); got.status != http.StatusOK {
		t.Errorf("the right one: %d %s", got.status, got.body)
	}
	if got := a.install(good); got.status != http.StatusOK || !strings.Contains(got.body, "installed already") {
		t.Errorf("again: %d %s", got.status, got.body)
	}
	n := map[audit.Action]int{}
	for _, e := range a.log(0) {
		if e.Decision == audit.Allow {
			n[e.Action]++
		}
	}
	if n[audit.KeyRequest] != 2 || n[audit.KeyInstall] != 2 {
		t.Errorf("recorded: %v", n)
	}
}

// TestWaitingIssuerCanBeCancelled, and is used if the root comes back.
func TestWaitingIssuerCanBeCancelled(t *testing.T) {
	a := newAuthority(t)
	safe := a.lockAway()
	r := a.askRoot("issuer")
	if got := a.postJSON(a.operators, "/keys/issuer/request?algorithm=ed25519", struct{}{}, nil); got.status != http.StatusConflict || !strings.Contains(got.body, "brevet key cancel issuer") {
		t.Errorf("another algorithm: %d %s", got.status, got.body)
	}
	a.operate("POST", "/keys/issuer/cancel", nil)
	if got := a.install(a.signElsewhere(safe, r, 1)); got.status != http.StatusConflict || a.keyFiles(keys.Issuer) != 1 {
		t.Errorf("installing what was cancelled: %d %s, with %d files", got.status, got.body, a.keyFiles(keys.Issuer))
	}
	next := a.askRoot("issuer")
	files, _ := filepath.Glob(filepath.Join(safe, "*.key"))
	if err := os.Rename(files[0], filepath.Join(a.Dir, filepath.Base(files[0]))); err != nil {
		t.Fatal(err)
	}
	if k := rotated(t, a.operate("POST", "/keys/issuer/rotate?now=true", nil)); k.ID != next.Keys[0].ID || k.State != "active" {
		t.Errorf("%+v, want %s", k, next.Keys[0].ID)
	}
}

// TestEndOfAnIssuerIsToldInTime if its root's key is kept elsewhere.
func TestEndOfAnIssuerIsToldInTime(t *testing.T) {
	a := newAuthority(t)
	told := func() bool {
		return strings.Contains(strings.Join(about(t, a.authority, "issuer-ends"), "; "), "run brevet key request issuer")
	}
	end := a.authority.CA.Issuer().NotAfter
	a.set(end.Add(-31 * 24 * time.Hour))
	safe := a.lockAway()
	if told() {
		t.Errorf("31 days before: %q", about(t, a.authority, "issuer-ends"))
	}
	a.set(end.Add(-29 * 24 * time.Hour))
	if !told() {
		t.Errorf("29 days before: %q", about(t, a.authority, "issuer-ends"))
	}
	if got := a.install(a.signElsewhere(safe, a.askRoot("issuer"), 1)); got.status != http.StatusOK || told() {
		t.Errorf("with a new one: %d %s, %q", got.status, got.body, about(t, a.authority, "issuer-ends"))
	}
}

// TestRootIsNeverOnTheServer if init puts it elsewhere, with a passphrase of its own, of every kind.
func TestRootIsNeverOnTheServer(t *testing.T) {
	for _, algorithm := range everyKind {
		safe := t.TempDir()
		passphrase := filepath.Join(safe, "passphrase")
		if err := os.WriteFile(passphrase, []byte("of the root alone\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		a := newAuthority(t, func(c *InitConfig) {
			c.Algorithm, c.RootDir, c.RootPassphraseFile, c.RootLists = algorithm, safe, passphrase, 2
		})
		if n := a.keyFiles(keys.Root) + a.keyFiles(keys.HTTPSRoot); n != 0 {
			t.Errorf("%s: %d files of roots are with the server", algorithm, n)
		}
		if left := a.authority.RootCRLEnds().Sub(a.now()); left > 67*24*time.Hour || left < 66*24*time.Hour {
			t.Errorf("%s: the root's CRLs last for %s", algorithm, left)
		}
		for _, purpose := range []string{"issuer", "https-issuer"} {
			if purpose == "https-issuer" && algorithm[0] == 'e' {
				continue
			}
			if got := a.install(a.signElsewhere(safe, a.askRoot(purpose), 2)); got.status != http.StatusOK {
				t.Errorf("%s: installing the %s: %d %s", algorithm, purpose, got.status, got.body)
			}
		}
		if reasons := a.authority.Health(t.Context()); reasons != nil {
			t.Errorf("%s: not well: %q", algorithm, reasons)
		}
	}
}

// TestFailedInitLeavesNoRoot in the directory where it would have been.
func TestFailedInitLeavesNoRoot(t *testing.T) {
	safe, dir := t.TempDir(), t.TempDir()
	c := InitConfig{Dir: dir, TrustDomain: "example.internal", NoPassphrase: true, RootDir: safe, RootLists: 99}
	if _, err := Init(t.Context(), c, time.Time{}); err == nil || !strings.Contains(err.Error(), "want 1 to 24") {
		t.Error(err)
	}
	c.RootLists, c.RootDir = 0, dir
	if _, err := Init(t.Context(), c, time.Time{}); err == nil || !strings.Contains(err.Error(), "another directory") {
		t.Error(err)
	}
	c.RootDir, c.IssuerLifetime, c.RootLifetime = safe, 48*time.Hour, 24*time.Hour
	if _, err := Init(t.Context(), c, time.Time{}); err == nil {
		t.Error("a root that ends before its issuer is made")
	}
	if left, _ := os.ReadDir(safe); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
}
