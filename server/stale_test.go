package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestCleanUpSparesAgentsAtWork runs the clean-up of brevet agent list --help: agents of each
// kind are at work without a new certificate, one agent is idle, and only that one is
// suspended, also after a restart.
func TestCleanUpSparesAgentsAtWork(t *testing.T) {
	w := servertest.New(t)
	// The certificates must not end before the agents count as stale.
	w.Configure("profiles: {default: {lifetime: 12h, max_lifetime: 24h}}\n")
	rights := agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}}
	mtls, idle := w.Enroll("mtls", rights), w.Enroll("idle", rights)
	holder := w.Enroll("holder", rights)
	resource := w.Enroll("resource", agents.Change{Scopes: []string{"brevet:introspect"}})
	jwt := newKeyed(t, w, "jwt")
	stock := newACME(t, w, "stock")
	held := holder.Token(wantToken).JSON["access_token"].(string)

	work := func() {
		t.Helper()
		servertest.Want(t, "a token by mTLS", mtls.Token(wantToken), http.StatusOK, "")
		servertest.Want(t, "a token by private_key_jwt", jwt.token(t, w), http.StatusOK, "")
		if _, err := stock.GetReg(t.Context(), ""); err != nil {
			t.Error("by ACME: ", err)
		}
		servertest.Want(t, "introspection", resource.Introspect(held), http.StatusOK, "true")
	}
	stale := func() string {
		t.Helper()
		var names []string
		for _, a := range must1(w.Admin.Agents(t.Context(), api.Filter{Stale: time.Minute, State: "active"}))(t) {
			names = append(names, a.Name)
		}
		return strings.Join(names, " ")
	}
	w.Clock.Advance(3 * time.Minute)
	if got := stale(); got != "holder idle jwt mtls resource stock" {
		t.Errorf("before they work, stale are %q", got)
	}
	work()
	for range 2 {
		if got := stale(); got != "idle" {
			t.Fatalf("stale are %q", got)
		}
		w.Stop()
		w.Start()
	}
	must1(w.Admin.Suspend(t.Context(), stale(), ""))(t)
	work()
	servertest.Want(t, "the idle one", idle.Token(wantToken), http.StatusUnauthorized, "")
	for _, a := range must1(w.Admin.Agents(t.Context(), api.Filter{}))(t) {
		if shown := must1(w.Admin.Agent(t.Context(), a.Name))(t); a.LastSeen.IsZero() || !shown.LastSeen.Equal(a.LastSeen) {
			t.Errorf("%s was last seen at %s in the list and at %s alone", a.Name, a.LastSeen, shown.LastSeen)
		}
	}
}

// A keyed agent authenticates by private_key_jwt alone.
type keyed struct {
	name string
	key  *ecdsa.PrivateKey
}

func newKeyed(t *testing.T, w *servertest.World, name string) *keyed {
	k := &keyed{name: name, key: must1(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)}
	der := must1(x509.MarshalPKIXPublicKey(k.key.Public()))(t)
	w.Add(name, agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}, Keys: []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}})
	return k
}

func (k *keyed) token(t *testing.T, w *servertest.World) servertest.Answer {
	t.Helper()

	enc := base64.RawURLEncoding
	claims := must1(json.Marshal(map[string]any{"iss": k.name, "sub": k.name, "aud": w.URL, "jti": time.Now().String(), "exp": w.Clock.Now().Add(time.Minute).Unix()}))(t)
	text := enc.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + enc.EncodeToString(claims)
	hash := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k.key, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	form := url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {text + "." + enc.EncodeToString(sig)}}
	for name, values := range wantToken {
		form[name] = values
	}
	return w.PostForm(w.Client(), "/oauth/token", form)
}

// newACME returns a client with an ACME account of a new agent.
func newACME(t *testing.T, w *servertest.World, name string) *acme.Client {
	invited := w.Add(name, agents.Change{})
	c := &acme.Client{Key: must1(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t), DirectoryURL: invited.ACME.Directory, HTTPClient: w.Client()}
	mac := must1(base64.RawURLEncoding.DecodeString(invited.ACME.MACKey))(t)
	must1(c.Register(t.Context(), &acme.Account{ExternalAccountBinding: &acme.ExternalAccountBinding{KID: invited.ACME.KeyID, Key: mac}}, acme.AcceptTOS))(t)
	return c
}
