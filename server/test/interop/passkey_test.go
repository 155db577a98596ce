package interop_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/persons/passkey"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
	"github.com/brevet-ca/brevet/storage"
)

// TestPasskeyInABrowser has an operator open their link in a browser with an authenticator that
// verifies them. The link works once, and opening it changes nothing.
func TestPasskeyInABrowser(t *testing.T) {
	browser := peer.Find(t, "chromium-headless-shell")
	var port string
	w := servertest.New(t, func(c *server.InitConfig) {
		_, port, _ = strings.Cut(c.Listen, ":")
		c.Advertise = "https://localhost:" + port
	})
	invited, err := w.Admin.AddOperatorByPasskey(t.Context(), "alice", "security")
	if err != nil || invited.Link == nil || invited.Enrollment.Token != "" || !strings.HasPrefix(invited.Link.URL, "https://localhost:"+port+"/operator/passkey#brevet_passkey_") {
		t.Fatalf("%+v, %v", invited, err)
	}
	b := openTab(t, browser)
	addAuthenticator(b)
	for range 2 { // opening it twice changes nothing
		b.do("Page.navigate", map[string]any{"url": "about:blank"}, nil)
		b.do("Page.navigate", map[string]any{"url": invited.Link.URL}, nil)
		b.wait(`document.getElementById("register")?.hidden === false`)
	}
	if got := b.eval("location.href"); strings.Contains(got, "brevet_passkey") {
		t.Errorf("the address bar shows the secret: %s", got)
	}
	if got := b.eval("document.body.innerText"); !strings.Contains(got, "operator alice of example.internal") {
		t.Errorf("the page says %q", got)
	}
	b.eval(`document.getElementById("register").click()`)
	b.wait(`document.getElementById("about").textContent.includes("is registered")`)
	approveInABrowser(t, w, b)
	o, err := w.Admin.Operator(t.Context(), "alice")
	if err != nil || len(o.Passkeys) != 1 || o.State != "active" {
		t.Fatalf("%+v, %v", o, err)
	}
	b.do("Page.navigate", map[string]any{"url": "about:blank"}, nil)
	b.do("Page.navigate", map[string]any{"url": invited.Link.URL}, nil)
	b.wait(`document.getElementById("about")?.textContent.includes("ask for a new one")`)
	if o, err = w.Admin.RemovePasskey(t.Context(), "alice", o.Passkeys[0].ID); err != nil || len(o.Passkeys) != 0 {
		t.Errorf("%+v, %v", o, err)
	}
}

// addAuthenticator gives the browser an authenticator that verifies the person.
func addAuthenticator(b *tab) {
	b.t.Helper()
	b.do("WebAuthn.enable", map[string]any{}, nil)
	b.do("WebAuthn.addVirtualAuthenticator", map[string]any{"options": map[string]any{
		"protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true,
	}}, nil)
}

// approveInABrowser has alice answer a challenge with the passkey that she registered, on a page of
// the authority. The server is stopped while the test looks into its store.
func approveInABrowser(t *testing.T, w *servertest.World, b *tab) {
	t.Helper()
	const td agents.TrustDomain = "example.internal"
	digest, other := sha256.Sum256([]byte("a grant")), sha256.Sum256([]byte("another grant"))
	site, err := passkey.SiteOf(b.eval("location.origin"))
	if err != nil {
		t.Fatal(err)
	}
	w.Stop()
	var alice persons.Person
	c := persons.NewChallenge(digest, time.Now())
	servertest.ChangeStore(t, w.Dir, func(tx storage.Tx) (err error) {
		alice, err = persons.Ask(tx, "alice", c, time.Now())
		return err
	})
	// The page has encode and decode, for base64url.
	b.eval(`navigator.credentials.get({ publicKey: {
			challenge: decode("` + base64.RawURLEncoding.EncodeToString(c.Value("alice")) + `"), rpId: location.hostname, userVerification: "required",
			allowCredentials: [{ type: "public-key", id: decode("` + base64.RawURLEncoding.EncodeToString(alice.Passkeys[0].ID) + `") }],
		} }).then((said) => { globalThis.said = JSON.stringify({
			ID: encode(said.rawId), ClientData: encode(said.response.clientDataJSON), Data: encode(said.response.authenticatorData),
			Signature: encode(said.response.signature), User: said.response.userHandle ? encode(said.response.userHandle) : null,
		}); }, (err) => { globalThis.said = String(err); }); 0`)
	b.wait(`globalThis.said !== undefined`)
	a := saidAssertion(t, b.eval("globalThis.said"))
	servertest.ChangeStore(t, w.Dir, func(tx storage.Tx) error {
		if _, _, err := persons.Answer(tx, td, site, other, a, time.Now()); !errors.Is(err, persons.ErrAnswer) {
			t.Errorf("another grant: %v", err)
		}
		p, k, err := persons.Answer(tx, td, site, digest, a, time.Now())
		if err != nil || p.Name != "alice" || k.Count <= alice.Passkeys[0].Count {
			t.Errorf("%+v, %v", p, err)
		}
		if _, _, err := persons.Answer(tx, td, site, digest, a, time.Now()); !errors.Is(err, persons.ErrAnswer) {
			t.Errorf("again: %v", err)
		}
		return nil
	})
	w.Start()
}

// saidAssertion reads an assertion whose members are in base64url.
func saidAssertion(t *testing.T, said string) (a passkey.Assertion) {
	t.Helper()
	var text struct{ ID, ClientData, Data, Signature, User string }
	if err := json.Unmarshal([]byte(said), &text); err != nil {
		t.Fatalf("%v: the browser says %s", err, said)
	}
	for from, to := range map[*string]*[]byte{&text.ID: &a.ID, &text.ClientData: &a.ClientData, &text.Data: &a.Data, &text.Signature: &a.Signature, &text.User: &a.User} {
		var err error
		if *to, err = base64.RawURLEncoding.DecodeString(*from); err != nil {
			t.Fatal(err)
		}
	}
	return a
}
