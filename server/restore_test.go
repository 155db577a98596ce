package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A history is what happened to an authority before and after a backup.
type history struct {
	*servertest.World
	t                    *testing.T
	backup, export, past string // files; past is a checkpoint from after the backup
	agents               map[string]*servertest.Agent
	registered, removed  *ecdsa.PrivateKey // keys of the agent "keyed"
	replaced             *ecdsa.PrivateKey // key of the agent "steady", in the backup
	invited, used        api.Invited       // unused at the backup; used is used after it
	late                 *servertest.Agent // whose certificate is from after the backup
	assertion            url.Values        // used before the restore
	ends                 time.Time         // of the agent "narrowed", as it was for a while
}

// newHistory makes agents, a backup, and then ends what they have in every way.
func newHistory(t *testing.T) *history {
	h := &history{World: servertest.New(t), t: t, agents: map[string]*servertest.Agent{}, registered: registrable(t), removed: registrable(t), replaced: registrable(t)}
	dir := t.TempDir()
	h.backup, h.export = filepath.Join(dir, "backup.db"), filepath.Join(dir, "export")
	for _, name := range []string{"steady", "suspended", "resumed", "gone", "revoked", "owned", "labelled", "keyed", "narrowed"} {
		change := agents.Change{Owner: new("owner-" + name), Scopes: []string{"s"}, Audiences: []string{"https://api.example"}, Labels: map[string]string{"name": name}}
		if name == "narrowed" {
			change.Scopes, change.Audiences = []string{"s", "t"}, []string{"https://api.example", "https://other.example"}
			change.DNS, change.IPs = []string{"a.example.com", "b.example.com"}, []string{"192.0.2.1", "192.0.2.2"}
		}
		if name == "keyed" {
			change.Keys = []string{registration(t, h.registered), registration(t, h.removed)}
		}
		if name == "steady" {
			change.Keys = []string{registration(t, h.replaced)}
		}
		h.agents[name] = h.Enroll(name, change)
	}
	h.invited, h.used = h.Add("invited", agents.Change{}), h.Add("used", agents.Change{})
	backup(t, h.World, h.backup)

	ctx, c := t.Context(), h.Admin
	h.ends = h.Clock.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	h.late = &servertest.Agent{World: h.World, Name: "used"}
	h.late.Use(h.enroll(h.used, h.late))
	h.assertion = h.assert(h.registered, time.Now())
	if got := h.PostForm(h.Client(), "/oauth/token", h.assertion); got.Status != http.StatusOK {
		t.Fatalf("an assertion: %d %s", got.Status, got.Body)
	}
	h.replace()
	err := errors.Join(
		only(c.Suspend(ctx, "suspended", "")), only(c.Suspend(ctx, "resumed", "")), only(c.Resume(ctx, "resumed")), only(c.Decommission(ctx, "gone", "")),
		only(c.RevokeCertificate(ctx, h.agents["revoked"].Serial(), "keyCompromise")),
		only(c.Revoke(ctx, api.Selection{Owner: "owner-owned"})), only(c.Revoke(ctx, api.Selection{Labels: map[string]string{"name": "labelled"}})),
		only(c.SetAgent(ctx, "keyed", api.Change{Keys: []string{registration(t, h.registered)}})),
		only(c.SetAgent(ctx, "narrowed", api.Change{
			Scopes: []string{"t", "u"}, Audiences: []string{"https://other.example"}, DNS: []string{"b.example.com"}, IPs: []string{}, Purpose: new("after the backup"),
			Expires: &h.ends, TTL: new(4 * time.Minute), RenewGrace: new(time.Duration(0)), KeyMaxAge: new(240 * time.Hour),
		})),
		only(c.SetAgent(ctx, "narrowed", api.Change{Scopes: []string{"s", "t", "u"}, Expires: new(time.Time{}), TTL: new(time.Duration(0)), RenewGrace: new(-time.Second), KeyMaxAge: new(-time.Second)})),
		only(c.AddAgent(ctx, "new", api.Change{Owner: new("team")})),
	)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := c.VerifyLog(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	h.past = verified.Checkpoint
	var lines bytes.Buffer
	err = c.Events(ctx, api.EventFilter{}, func(line json.RawMessage) error {
		lines.Write(append(line, '\n'))
		return nil
	})
	if err := errors.Join(err, os.WriteFile(h.export, lines.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	h.Stop()
	return h
}

// replace has the agent "steady" replace its registered key.
func (h *history) replace() {
	h.t.Helper()
	request := h.agents["steady"].CSR(nil)
	block, _ := pem.Decode([]byte(request))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		h.t.Fatal(err)
	}
	sum := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	claims := jwt.MapClaims{
		"iss": "steady", "sub": "steady", "aud": h.URL, "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(),
		"next_key": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(h.replaced)
	if err != nil {
		h.t.Fatal(err)
	}
	if got := h.PostJSON(h.Client(), "/v1/keys", map[string]any{"csr": request, "client_assertion": text}); got.Status != http.StatusOK {
		h.t.Fatalf("replacing a key: %d %s", got.Status, got.Body)
	}
}

func registrable(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// registration is the public half of a key as operators register it.
func registration(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}

func (h *history) enroll(in api.Invited, a *servertest.Agent) servertest.Answer {
	return h.PostJSON(h.Client(), "/v1/enroll", map[string]any{"token": in.Enrollment.Token, "csr": a.CSR(nil)})
}

// assert makes an assertion of the agent "keyed" at an instant.
func (h *history) assert(key *ecdsa.PrivateKey, at time.Time) url.Values {
	claims := jwt.MapClaims{"iss": "keyed", "sub": "keyed", "aud": h.URL, "jti": fmt.Sprint(at.UnixNano()), "exp": at.Add(50 * time.Minute).Unix()}
	if at.Nanosecond()%2 == 0 { // some have no iat
		claims["iat"] = at.Unix()
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(key)
	if err != nil {
		h.t.Fatal(err)
	}
	return url.Values{
		"grant_type": {"client_credentials"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {text},
	}
}

func (h *history) restore(c server.RestoreConfig) *server.Restored {
	h.t.Helper()
	c.Dir, c.File = h.Dir, h.backup
	r, err := server.Restore(h.t.Context(), c, h.Clock.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// ended are those whose ends after the backup are applied again.
var ended = []string{
	"agent.key.replace steady", "agent.suspend suspended", "agent.suspend resumed", "agent.resume resumed", "agent.decommission gone",
	"certificate.revoke", "credential.revoke owner owner-owned", "credential.revoke label name=labelled", "agent.set keyed", "agent.set narrowed",
}

// wantApplied checks that all ends are applied again, and that they hold.
func (h *history) wantApplied(r *server.Restored) {
	h.t.Helper()
	want := slices.Clone(ended)
	want[5] += " " + h.agents["revoked"].Serial()
	if !slices.Equal(r.Applied, want) || r.Unknown != "" || r.Known.IsZero() {
		h.t.Errorf("applied again: %q, known until %s, %s; want %q", r.Applied, r.Known, r.Unknown, want)
	}
	if !slices.Equal(r.Forgotten, []string{"new"}) || r.Voided != 8 { // binding keys, mostly
		h.t.Errorf("forgotten %q, %d enrollments void", r.Forgotten, r.Voided)
	}
	for name, state := range map[string]string{"suspended": "suspended", "resumed": "active", "gone": "decommissioned", "steady": "active"} {
		if a, err := h.Admin.Agent(h.t.Context(), name); err != nil || a.State != state {
			h.t.Errorf("%s: %+v, %v; want it %s", name, a, err, state)
		}
	}
	a, err := h.Admin.Agent(h.t.Context(), "narrowed")
	if got := fmt.Sprint(a.Scopes, a.Audiences, a.DNS, a.IPs); err != nil || got != "[t] [https://other.example] [b.example.com] []" {
		h.t.Errorf("the agent from which something was taken away has %s, %v", got, err)
	}
	if !a.Expires.Equal(h.ends) || a.TTL != "4m" || a.RenewGrace != "0s" || a.KeyMaxAge != "10d" {
		h.t.Errorf("the agent whose times were shortened ends at %s, and has the lifetime %q, the window %q and the limit for keys %q", a.Expires, a.TTL, a.RenewGrace, a.KeyMaxAge)
	}
	if a, err := h.Admin.Agent(h.t.Context(), "keyed"); err != nil || a.Keys != 1 {
		h.t.Errorf("the agent whose key was removed: %+v, %v", a, err)
	}
	if a, err := h.Admin.Agent(h.t.Context(), "steady"); err != nil || a.Keys != 0 {
		h.t.Errorf("the agent that replaced its key: %+v, %v", a, err)
	}
}

// wantRefused checks that nothing that could be used twice can be.
func (h *history) wantRefused() {
	h.t.Helper()
	for what, in := range map[string]api.Invited{"unused": h.invited, "used after the backup": h.used} {
		if got := h.enroll(in, &servertest.Agent{World: h.World}); got.Status == http.StatusOK {
			h.t.Errorf("an enrollment token that was %s enrolls", what)
		}
	}
	if got := h.late.Renew(); got.Status == http.StatusOK {
		h.t.Error("a certificate that is on no record was renewed")
	}
	for what, a := range map[string]url.Values{
		"was used": h.assertion, "is from before": h.assert(h.registered, time.Now().Add(-time.Minute).Round(2)),
		"is from before and has no iat": h.assert(h.registered, time.Now().Add(-time.Minute).Round(2).Add(1)),
	} {
		if got := h.PostForm(h.Client(), "/oauth/token", a); got.Status == http.StatusOK {
			h.t.Errorf("an assertion that %s was accepted", what)
		}
	}
}

// TestRestoreCutsWhatTheBackupCannotKnow: after a restore, nothing from before can be used,
// and what was ended stays ended.
func TestRestoreCutsWhatTheBackupCannotKnow(t *testing.T) {
	h := newHistory(t)
	r := h.restore(server.RestoreConfig{})
	h.Start()
	h.wantApplied(r)
	h.wantRefused()
	for name, a := range h.agents {
		if got := a.Renew(); got.Status == http.StatusOK {
			t.Errorf("%s renewed a certificate from before the restore", name)
		}
	}
	want := []string{"invited", "keyed", "labelled", "narrowed", "owned", "resumed", "revoked", "steady", "used"}
	if !slices.Equal(r.Reenroll, want) {
		t.Errorf("to enroll again: %q, want %q", r.Reenroll, want)
	}
	if end := h.late.Leaf.NotAfter; !r.Unrecorded.Equal(end) {
		t.Errorf("the last certificate on no record ends at %s, want %s", r.Unrecorded, end)
	}
	listed := 0
	for range h.CRL().RevokedCertificateEntries {
		listed++
	}
	if listed < len(h.agents) {
		t.Errorf("the list has %d entries, want the certificates of %d agents", listed, len(h.agents))
	}
	// One that is made well after the restore is accepted.
	h.Clock.Advance(40 * time.Second)
	fresh := time.Now().Add(40 * time.Second).Round(2)
	if got := h.PostForm(h.Client(), "/oauth/token", h.assert(h.registered, fresh)); got.Status != http.StatusOK {
		t.Errorf("a fresh assertion: %d %s", got.Status, got.Body)
	}
	if got := h.PostForm(h.Client(), "/oauth/token", h.assert(h.removed, fresh.Add(2))); got.Status == http.StatusOK {
		t.Error("a key that was removed after the backup is accepted")
	}
	if st, err := h.Admin.Status(t.Context()); err != nil || len(st.Problems) > 0 {
		t.Errorf("status: %v, %v", st.Problems, err)
	}
	if _, err := h.Admin.VerifyLog(t.Context(), h.past); err == nil || !strings.Contains(err.Error(), "is from before a restore") || strings.Contains(err.Error(), "tampered") {
		t.Errorf("a checkpoint from between backup and restore: %v", err)
	}
}

// TestRestoreKeepsWhatTheBackupKnows: with KeepIssued, what nobody ended lives on.
func TestRestoreKeepsWhatTheBackupKnows(t *testing.T) {
	h := newHistory(t)
	r := h.restore(server.RestoreConfig{KeepIssued: true})
	h.Start()
	h.wantApplied(r)
	h.wantRefused()
	for name, a := range h.agents {
		lives := name == "steady" || name == "keyed" || name == "narrowed"
		if got := a.Renew(); (got.Status == http.StatusOK) != lives {
			t.Errorf("%s renews: %d %s", name, got.Status, got.Body)
		}
		if slices.Contains(r.Reenroll, name) != (!lives && name != "suspended" && name != "gone") {
			t.Errorf("%s is among those that enroll again, or is not: %q", name, r.Reenroll)
		}
	}
}

// TestRestoreReadsAnExport: where the replaced store is lost, an export of the log tells
// what was ended. Without either, an operator confirms.
func TestRestoreReadsAnExport(t *testing.T) {
	h := newHistory(t)
	store := h.File("brevet.db")
	text, err := os.ReadFile(h.export)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for what, bad := range map[string][]byte{
		"a line is missing": bytes.Join(slices.Delete(slices.Clone(lines), 30, 31), nil), "it begins late": bytes.Join(lines[len(lines)-5:], nil),
		"an event was edited": bytes.Replace(text, []byte(`"agent.suspend"`), []byte(`"agent.suspect" `), 1), "it is empty": nil,
		"it is another's": bytes.ReplaceAll(text, []byte(`"request":"`), []byte(`"request":"f`)),
	} {
		file := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := server.Restore(t.Context(), server.RestoreConfig{Dir: h.Dir, File: h.backup, Log: file}, h.Clock.Now()); err == nil {
			t.Errorf("%s, and the restore came to %+v", what, r)
		}
	}
	if err := os.Remove(store); err != nil {
		t.Fatal(err)
	}
	r := h.restore(server.RestoreConfig{Log: h.export})
	if longest := h.Clock.Now().Add(time.Hour); r.Kept != "" || r.Unrecorded.Before(longest.Add(-time.Minute)) || r.Unrecorded.After(longest.Add(time.Minute)) {
		t.Errorf("kept %q, the last certificate on no record ends at %s", r.Kept, r.Unrecorded)
	}
	h.Start()
	h.wantApplied(r)
	h.wantRefused()
	h.Stop()

	// The store is now one that went on from the backup and knows nothing of the past.
	if err := os.WriteFile(store, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r = h.restore(server.RestoreConfig{}); r.Unknown == "" || len(r.Applied) > 0 {
		t.Errorf("with neither: %+v", r)
	}
}

// TestExportRoundTrip: what is exported is read back as it was.
func TestExportRoundTrip(t *testing.T) {
	w := servertest.New(t)
	var text bytes.Buffer
	if err := w.Admin.Events(t.Context(), api.EventFilter{}, func(line json.RawMessage) error {
		text.Write(append(line, '\n'))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for e, err := range audit.ReadExport(&text) {
		if err != nil || e.Seq != int64(n) {
			t.Fatalf("event %d: %+v, %v", n, e, err)
		}
		n++
	}
	if n == 0 {
		t.Error("no events")
	}
}
