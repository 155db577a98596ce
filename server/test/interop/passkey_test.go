package interop_test

import (
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
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
	b.do("WebAuthn.enable", map[string]any{}, nil)
	b.do("WebAuthn.addVirtualAuthenticator", map[string]any{"options": map[string]any{
		"protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true,
	}}, nil)
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
