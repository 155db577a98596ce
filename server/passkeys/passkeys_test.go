package passkeys_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/passkeys"
	"github.com/brevet-ca/brevet/server/servertest"
)

// A site is an authority under a domain name, to which the test is the browser.
type site struct {
	*servertest.World
	t *testing.T
}

func newSite(t *testing.T) site {
	t.Helper()
	return site{servertest.New(t, func(c *server.InitConfig) {
		_, port, _ := strings.Cut(c.Listen, ":")
		c.Advertise = "https://localhost:" + port
	}), t}
}

// link returns the secret of a new link of an operator who was added.
func (s site) link(name string) string {
	s.t.Helper()
	invited, err := s.Admin.LinkOperator(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	_, secret, _ := strings.Cut(invited.Link.URL, "#")
	return secret
}

func (s site) post(path string, body any) servertest.Answer {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := s.Client().Post(s.URL+path, "application/json", bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	return servertest.Read(s.World, r)
}

// register does what the page does. The key gets an ID.
func (s site) register(secret, id string) servertest.Answer {
	s.t.Helper()
	wanted := s.post(passkeys.BeginPath, map[string]string{"token": secret})
	if wanted.Status != http.StatusOK {
		return wanted
	}
	client := fmt.Sprintf(`{"type":"webauthn.create","challenge":%q,"origin":%q,"crossOrigin":false}`, wanted.JSON["challenge"], s.URL)
	return s.post(passkeys.Path, map[string]string{"token": secret, "client_data": base64.RawURLEncoding.EncodeToString([]byte(client)), "attestation": attestation(s.t, wanted.JSON["site"].(string), id)})
}

// attestation returns what an authenticator says of a new key.
func attestation(t *testing.T, site, id string) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	public, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(site))
	data := append(hash[:], 0x45, 0, 0, 0, 0)
	data = append(append(data, make([]byte, 17)...), byte(len(id)))
	object, err := cbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": append(append(data, id...), public...)})
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(object)
}

// TestLinkWorksOnce, and a fault leaves it as it was.
func TestLinkWorksOnce(t *testing.T) {
	s := newSite(t)
	if _, err := s.Admin.AddOperatorByPasskey(t.Context(), "alice", "viewer"); err != nil {
		t.Fatal(err)
	}
	secret := s.link("alice")
	for what, body := range map[string]map[string]string{
		"nothing":          {"token": secret, "client_data": "", "attestation": ""},
		"no base64url":     {"token": secret, "client_data": "e30=", "attestation": "oA"},
		"no member":        {"token": secret},
		"too many members": {"token": secret, "client_data": "e30", "attestation": "oA", "more": ""},
		"another challenge": {"token": secret, "client_data": base64.RawURLEncoding.EncodeToString([]byte(`{"type":"webauthn.create","challenge":"AAAAAAAAAAAAAAAAAAAAAA","origin":"` + s.URL + `"}`)),
			"attestation": attestation(t, "localhost", "other")},
	} {
		if got := s.post(passkeys.Path, body); got.Status != http.StatusBadRequest || strings.Contains(got.Body, secret) {
			t.Errorf("%s: %d %s", what, got.Status, got.Body)
		}
	}
	if got := s.register(secret, "first"); got.Status != http.StatusOK || got.JSON["operator"] != "alice" || got.JSON["passkeys"] != 1.0 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if got := s.register(secret, "second"); got.Status != http.StatusUnauthorized {
		t.Errorf("again: %d %s", got.Status, got.Body)
	}
	if got := s.register(s.link("alice"), "first"); got.Status != http.StatusBadRequest || !strings.Contains(got.Body, "registered already") {
		t.Errorf("the same passkey: %d %s", got.Status, got.Body)
	}
	if o, err := s.Admin.RemovePasskey(t.Context(), "alice", base64.RawURLEncoding.EncodeToString([]byte("first"))); err != nil || len(o.Passkeys) != 0 {
		t.Fatalf("%+v, %v", o, err)
	}
	if got := s.register(s.link("alice"), "first"); got.Status != http.StatusOK {
		t.Errorf("after it was removed: %d %s", got.Status, got.Body)
	}
}

// TestLinksEnd: strangers cannot tell why a link does not work, or whether it ever did.
func TestLinksEnd(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	for _, name := range []string{"alice", "bob", "carol", "dora"} {
		if _, err := s.Admin.AddOperator(ctx, name, "viewer"); err != nil {
			t.Fatal(err)
		}
	}
	replaced, suspended, removed, expired := s.link("alice"), s.link("bob"), s.link("carol"), s.link("dora")
	s.link("alice")
	for _, f := range []func() error{
		func() error { _, err := s.Admin.SuspendOperator(ctx, "bob"); return err },
		func() error { _, err := s.Admin.ResumeOperator(ctx, "bob"); return err },
		func() error { _, err := s.Admin.RemoveOperator(ctx, "carol"); return err },
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	s.Clock.Advance(10*time.Minute + time.Second)
	unknown := "brevet_passkey_" + base64.RawURLEncoding.EncodeToString(append([]byte{0x7f}, make([]byte, 35)...))
	want := s.post(passkeys.BeginPath, map[string]string{"token": unknown})
	if want.Status != http.StatusUnauthorized {
		t.Fatalf("unknown: %d %s", want.Status, want.Body)
	}
	for what, secret := range map[string]string{"replaced": replaced, "of a suspended one": suspended, "of a removed one": removed, "expired": expired, "malformed": "brevet_passkey_x", "an enrollment token": "brevet_enroll_x"} {
		for _, path := range []string{passkeys.BeginPath, passkeys.Path} {
			body := map[string]string{"token": secret}
			if path == passkeys.Path {
				body["client_data"], body["attestation"] = "e30", "oA"
			}
			if got := s.post(path, body); got.Status != want.Status || got.Body != want.Body {
				t.Errorf("%s at %s: %d %s", what, path, got.Status, got.Body)
			}
		}
	}
}

// TestPageRunsItsScriptAlone, and no cache keeps it.
func TestPageRunsItsScriptAlone(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{passkeys.Path, passkeys.ScriptPath} {
		r, err := s.Client().Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		got := servertest.Read(s.World, r)
		policy := got.Header.Get("Content-Security-Policy")
		if got.Status != http.StatusOK || !strings.Contains(policy, "default-src 'none'; script-src 'self';") || !strings.Contains(policy, "frame-ancestors 'none'") || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", path, got.Status, got.Header)
		}
	}
}

// TestPasskeysNeedADomainName: nobody is added if they could not register one.
func TestPasskeysNeedADomainName(t *testing.T) {
	w := servertest.New(t)
	if _, err := w.Admin.AddOperatorByPasskey(t.Context(), "alice", "viewer"); err == nil || !strings.Contains(err.Error(), "domain name") {
		t.Errorf("%v", err)
	}
	if all, err := w.Admin.Operators(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}
