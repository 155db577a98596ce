package server

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// enrolled registers an agent and returns its first certificate.
func (a *world) enrolled(name string) *x509.Certificate {
	a.t.Helper()
	token := a.add(name, agents.Change{Scopes: []string{"a:b"}, Audiences: []string{"https://api.example"}})
	key := newKey(a.t)
	got := a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": token, "csr": csrPEM(a.t, key, nil)}, nil)
	if got.status != http.StatusOK {
		a.t.Fatalf("enrolling %s: %d %s", name, got.status, got.body)
	}
	leaf := got.leaf(a.t)
	if a.kept == nil {
		a.kept = map[string]*ecdsa.PrivateKey{}
	}
	a.kept[serial(leaf)] = key
	return leaf
}

// keyOf returns the key of a certificate that enrolled got.
func (a *world) keyOf(cert *x509.Certificate) *ecdsa.PrivateKey { return a.kept[serial(cert)] }

func (a *world) renew(cert *x509.Certificate) reply {
	a.t.Helper()
	return a.postJSON(a.agents, "/v1/certificates", map[string]string{"csr": csrPEM(a.t, newKey(a.t), nil)}, cert)
}

// keyFiles returns how many files of keys of a purpose there are.
func (a *world) keyFiles(p keys.Purpose) int {
	files, _ := filepath.Glob(filepath.Join(a.Dir, string(p)+"-*.key"))
	return len(files)
}

// list fetches and reads a CRL.
func (a *world) list(id string) *x509.RevocationList {
	a.t.Helper()
	got := a.ask(a.public, "GET", ca.CRLPath(id), "", "", nil)
	l, err := x509.ParseRevocationList([]byte(got.body))
	if err != nil {
		a.t.Fatalf("CRL of %s: %d, %v", id, got.status, err)
	}
	return l
}

// TestCompromisedIssuerEnds, of every kind: everything that it signed is dead and on its last
// list, the root revokes it, its key is gone, and agents go on with one renewal.
func TestCompromisedIssuerEnds(t *testing.T) {
	for _, algorithm := range []string{"ecdsa-p256", "ecdsa-p256+mldsa65", "mldsa65-ecdsa-p256-sha512", "mldsa44"} {
		t.Run(algorithm, func(t *testing.T) {
			a := newAuthority(t, func(c *InitConfig) { c.Algorithm = algorithm })
			old := a.authority.CA.Issuer()
			first, second, gone := a.enrolled("first"), a.enrolled("second"), a.enrolled("gone")
			a.operate("POST", "/agents/gone/suspend", nil)
			a.set(a.now().Add(time.Minute))
			k := rotated(t, a.operate("POST", "/keys/issuer/rotate?compromised=true", nil))
			if k.State != "active" || k.Ended == nil || k.Ended.Certificates != 2 || !k.Ended.DeadAfter.Equal(second.NotAfter) && !k.Ended.DeadAfter.Equal(first.NotAfter) {
				t.Errorf("%+v, %+v", k, k.Ended)
			}
			a.checkEnded(t, old, first, second, gone)
			a.checkOrphans(t, first, second, gone)
			a.restarted(t)
			a.checkEnded(t, old, first, second, gone)
			if fresh := a.renew(first); fresh.status != http.StatusUnauthorized {
				t.Errorf("the old certificate renews again after a restart: %d", fresh.status)
			}
		})
	}
}

// checkEnded looks at what is published after an issuer was compromised.
func (a *world) checkEnded(t *testing.T, old *ca.Issuer, certs ...*x509.Certificate) {
	t.Helper()
	last := a.list(old.ID)
	listed := map[string]bool{}
	for _, e := range last.RevokedCertificateEntries {
		listed[e.SerialNumber.String()] = true
	}
	for _, c := range certs {
		if !listed[c.SerialNumber.String()] {
			t.Errorf("the last list lacks %x", c.SerialNumber)
		}
	}
	if !last.NextUpdate.Equal(old.NotAfter) {
		t.Errorf("the last list ends at %s, want %s", last.NextUpdate, old.NotAfter)
	}
	a.checkRevoked(t, old)
	if n := a.keyFiles(keys.Issuer); n != 1 {
		t.Errorf("%d issuer key files, want 1", n)
	}
	if bundle := a.ask(a.agents, "GET", "/crl/bundle.pem", "", "", nil); bundle.status != http.StatusOK || !strings.Contains(bundle.body, string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: last.Raw}))) {
		t.Errorf("the bundle lacks the last list: %d", bundle.status)
	}
	if leaf := a.authority.Own.Current().Leaf; string(leaf.AuthorityKeyId) == string(old.KeyID) {
		t.Error("the server's own certificate is from the old issuer")
	}
	if problems := problemsOf(t, a.authority); problems != nil {
		t.Errorf("problems: %q", problems)
	}
}

// checkRevoked fails unless a root revokes an issuer as compromised and the chain does not have it.
func (a *world) checkRevoked(t *testing.T, old *ca.Issuer) {
	t.Helper()
	revoked := false
	for _, r := range a.authority.CRL.Roots() {
		for _, e := range a.list(r.Root).RevokedCertificateEntries {
			cert, err := x509.ParseCertificate(old.Certificate())
			if err != nil {
				t.Fatal(err)
			}
			revoked = revoked || e.SerialNumber.Cmp(cert.SerialNumber) == 0 && e.ReasonCode == int(agents.KeyCompromise)
		}
	}
	if !revoked {
		t.Error("no root revokes the issuer")
	}
	block, _ := pem.Decode([]byte(a.ask(a.agents, "GET", "/chain.pem", "", "", nil).body))
	if block == nil || string(block.Bytes) == string(old.Certificate()) {
		t.Error("chain.pem has the old issuer")
	}
}

// checkOrphans: a certificate that only its issuer's end has killed renews once. It gets no tokens, and
// one with other octets than the record, as a thief would make, gets nothing.
func (a *world) checkOrphans(t *testing.T, first, second, gone *x509.Certificate) {
	t.Helper()
	forged := *first
	forged.Raw = append([]byte{}, first.Raw...)
	forged.Raw[len(forged.Raw)-1] ^= 1
	if got := a.renew(&forged); got.status != http.StatusUnauthorized {
		t.Errorf("a forged certificate: %d %s", got.status, got.body)
	}
	if got := a.postForm("/oauth/token", wantToken(url.Values{"client_id": {"first"}}), first); got.status == http.StatusOK {
		t.Error("it gets a token")
	}
	if got := a.renew(gone); got.status != http.StatusUnauthorized {
		t.Errorf("a suspended agent's: %d %s", got.status, got.body)
	}
	next := a.renew(first)
	if next.status != http.StatusOK {
		t.Fatalf("renewing: %d %s", next.status, next.body)
	}
	if got := a.renew(first); got.status != http.StatusUnauthorized {
		t.Errorf("the second time: %d %s", got.status, got.body)
	}
	if got := a.renew(next.leaf(t)); got.status != http.StatusOK {
		t.Errorf("with the new one: %d %s", got.status, got.body)
	}
	again := csrPEM(t, a.keyOf(second), nil) // the agent's key is not compromised
	if got := a.postJSON(a.agents, "/v1/certificates", map[string]string{"csr": again}, second); got.status != http.StatusOK {
		t.Errorf("another agent, with the key that it has: %d %s", got.status, got.body)
	}
}

// restarted starts the authority again over its store.
func (a *world) restarted(t *testing.T) {
	t.Helper()
	if err := a.Close(); err != nil && !errors.Is(err, storage.ErrClosed) {
		t.Fatal(err)
	}
	s, err := New(Config{Dir: a.Dir, Version: "test", Now: a.now, Log: a.Log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	a.Server = s
	if err := s.authority.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.agents, a.public, a.operators = s.observed(s.agentHandler()), s.observed(s.publicHandler()), fromHere(t, s.observed(s.operatorHandler()))
}

// TestCompromisedTokenKeyEnds: it leaves the JWK Set at once, and what it signed is dead by
// introspection, for each kind of key.
func TestCompromisedTokenKeyEnds(t *testing.T) {
	for _, algorithm := range []string{"ecdsa-p256", "ed25519"} {
		a := newAuthority(t)
		stolen := rotated(t, a.operate("POST", "/keys/tokens/rotate?now=true&algorithm="+algorithm, nil))
		cert := a.enrolled("bot")
		ask := func() string {
			t.Helper()
			got := a.postForm("/oauth/token", wantToken(url.Values{"client_id": {"bot"}, "scope": {"a:b"}, "resource": {"https://api.example"}}), cert)
			if got.token() == "" {
				t.Fatalf("%d %s", got.status, got.body)
			}
			return got.token()
		}
		token := ask()
		k := rotated(t, a.operate("POST", "/keys/tokens/rotate?compromised=true", nil))
		if k.Ended == nil || k.Ended.Tokens != 1 || k.Ended.Certificates != 0 || k.Algorithm != algorithm || a.active(token) {
			t.Errorf("%+v, %+v; the token is active: %t", k, k.Ended, a.active(token))
		}
		jwks := a.ask(a.agents, "GET", "/oauth/jwks", "", "", nil).body
		if strings.Count(jwks, `"kid"`) != 2 || strings.Contains(jwks, stolen.ID) { // with the first one, which was only retired
			t.Errorf("published are %s", jwks)
		}
		if n := a.keyFiles(keys.Tokens); n != 2 {
			t.Errorf("%d key files, want 2", n)
		}
		if fresh := ask(); !a.active(fresh) {
			t.Error("no new token is active")
		}
		for _, e := range a.log(0) {
			if e.Action == audit.KeyCompromise && (e.Details == nil || e.Details.Counts == nil || e.Details.Counts.Tokens != 1) {
				t.Errorf("recorded is %+v", e)
			}
		}
	}
}

// TestCompromisedIssuerStopsWithoutItsRoot: nothing more is issued, the status is critical, and when
// the root's key is back another issuer takes over.
func TestCompromisedIssuerStopsWithoutItsRoot(t *testing.T) {
	a := newAuthority(t)
	old := a.authority.CA.Issuer()
	cert := a.enrolled("bot")
	files, _ := filepath.Glob(filepath.Join(a.Dir, "root-*.key"))
	away := filepath.Join(t.TempDir(), "root.key")
	if err := os.Rename(files[0], away); err != nil {
		t.Fatal(err)
	}
	k := rotated(t, a.operate("POST", "/keys/issuer/rotate?compromised=true", nil))
	if k.State != "next" || k.Ended == nil || k.Ended.Certificates != 1 || len(k.Remarks) != 1 || k.Request == nil {
		t.Errorf("%+v", k)
	}
	check := func() {
		t.Helper()
		if problems := about(t, a.authority, "key-compromised"); len(problems) != 1 || !strings.Contains(problems[0], "run brevet key request issuer") {
			t.Errorf("problems: %q", problems)
		}
		if got := a.renew(cert); got.status != http.StatusServiceUnavailable {
			t.Errorf("renewing: %d %s", got.status, got.body)
		}
		if l := a.list(old.ID); len(l.RevokedCertificateEntries) == 0 {
			t.Error("the issuer's list is empty")
		}
	}
	check()
	a.restarted(t)
	check()
	if err := os.Rename(away, files[0]); err != nil {
		t.Fatal(err)
	}
	if k := rotated(t, a.operate("POST", "/keys/issuer/rotate", nil)); k.State != "active" {
		t.Errorf("%+v", k)
	}
	a.checkEnded(t, old, cert)
	if got := a.renew(cert); got.status != http.StatusOK {
		t.Errorf("renewing: %d %s", got.status, got.body)
	}
}

// TestCrashAfterACompromise: the next start destroys the key, after the last list.
func TestCrashAfterACompromise(t *testing.T) {
	a := newAuthority(t)
	old := a.authority.CA.Issuer()
	cert := a.enrolled("bot")
	rotated(t, a.operate("POST", "/keys/issuer/rotate?now=true", nil))
	a.update(func(tx storage.Tx) error { return agents.EndIssuer(tx, old.ID, a.now()) })
	a.restarted(t)
	a.checkEnded(t, old, cert)
}

// TestNotEveryKeyCanBeCompromised.
func TestNotEveryKeyCanBeCompromised(t *testing.T) {
	a := newAuthority(t)
	for purpose, want := range map[string]int{"audit": 400, "https-root": 400, "tokens-pq": 400, "profile-issuer": 400, "https-issuer": 400, "nothing": 400} {
		if got := a.postJSON(a.operators, "/keys/"+purpose+"/rotate?compromised=true", struct{}{}, nil); got.status != want {
			t.Errorf("%s: %d %s, want %d", purpose, got.status, got.body, want)
		}
	}
}

// TestRestoreForgetsNoCompromise: a backup from before it is restored with the key that was stolen,
// which then signs nothing, and the root's CRL revokes it.
func TestRestoreForgetsNoCompromise(t *testing.T) {
	a := newAuthority(t)
	old := a.authority.CA.Issuer()
	cert := a.enrolled("bot")
	dir := t.TempDir()
	backup, err := os.Create(filepath.Join(dir, "backup"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.db.Backup(t.Context(), backup), backup.Close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(a.Dir, "issuer-"+old.ID[:16]+".key")
	stolen, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rotated(t, a.operate("POST", "/keys/issuer/rotate?compromised=true", nil))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	restore := RestoreConfig{Dir: a.Dir, File: backup.Name(), KeepIssued: true}
	forgotten, _ := filepath.Glob(filepath.Join(a.Dir, "issuer-*.key")) // the replaced store knows no key that could work
	if err := errors.Join(os.Remove(forgotten[0]), os.WriteFile(file, stolen, 0o600)); err != nil {
		t.Fatal(err)
	}
	if r, err := Restore(t.Context(), restore, a.now()); err != nil || len(r.Applied) != 1 || r.Applied[0] != "key.compromise issuer" {
		t.Fatalf("%+v, %v", r, err)
	}
	a.restarted(t)
	if problems := strings.Join(problemsOf(t, a.authority), "; "); !strings.Contains(problems, "is compromised, and nothing is issued") {
		t.Errorf("problems: %q", problems)
	}
	if got := a.renew(cert); got.status != http.StatusServiceUnavailable {
		t.Errorf("renewing: %d %s", got.status, got.body)
	}
	rotated(t, a.operate("POST", "/keys/issuer/rotate", nil))
	a.checkEnded(t, old, cert)
}

// TestRevokedOrphanRenewsNoMore: a certificate that may renew because its issuer is
// compromised can be revoked like any other that is alive, in each way.
func TestRevokedOrphanRenewsNoMore(t *testing.T) {
	a := newAuthority(t)
	alone, among, renewed, spared := a.enrolled("alone"), a.enrolled("among"), a.enrolled("renewed"), a.enrolled("spared")
	rotated(t, a.operate("POST", "/keys/issuer/rotate?compromised=true", nil))
	if got := a.renew(renewed); got.status != http.StatusOK {
		t.Fatalf("renewing: %d %s", got.status, got.body)
	}
	if got := a.operate("POST", "/certificates/"+serial(alone)+"/revoke", map[string]any{"reason": "keyCompromise"}); got.status != http.StatusOK {
		t.Fatalf("revoking one: %d %s", got.status, got.body)
	}
	since := a.now().Add(-time.Hour)
	for agent, want := range map[string]int{"among": 1, "renewed": 1} { // of the latter, the new one
		got := a.operate("POST", "/revoke", map[string]any{"agent": agent, "issued_since": since})
		var receipt struct{ Certificates int }
		if err := json.Unmarshal([]byte(got.body), &receipt); got.status != http.StatusOK || err != nil || receipt.Certificates != want {
			t.Errorf("revoking what %s got lately: %d %s, want %d certificates", agent, got.status, got.body, want)
		}
	}
	for _, cert := range []*x509.Certificate{alone, among, renewed} {
		if got := a.renew(cert); got.status != http.StatusUnauthorized {
			t.Errorf("%s renews: %d %s", cert.Subject, got.status, got.body)
		}
	}
	again := csrPEM(t, a.keyOf(alone), nil)
	if got := a.postJSON(a.agents, "/v1/certificates", map[string]string{"csr": again}, spared); got.status != http.StatusForbidden {
		t.Errorf("a compromised key is certified again: %d %s", got.status, got.body)
	}
	if got := a.renew(spared); got.status != http.StatusOK {
		t.Errorf("another agent: %d %s", got.status, got.body)
	}
}
