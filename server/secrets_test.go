package server_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestSecretsStayWhereTheyBelong goes through a day of an authority, with many
// requests that go wrong, some of which carry a secret in the wrong place; then
// it looks for the secrets in all that was logged, recorded, counted and said.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel() // it waits for a server to stop
	w := servertest.New(t)
	secrets := map[string]string{}
	var said strings.Builder // what refusals said
	keep := func(got servertest.Answer) servertest.Answer {
		if got.Status >= 400 {
			said.WriteString(got.Body)
			w.Clock.Advance(250 * time.Millisecond)
		}
		return got
	}
	secret := func(name, text string) string {
		secrets[name] = text
		return text
	}
	keepJSON := func(c *http.Client, path string, doc any) { keep(w.PostJSON(c, path, doc)) }
	keepForm := func(c *http.Client, path string, pairs ...string) servertest.Answer {
		f := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			f.Add(pairs[i], pairs[i+1])
		}
		return keep(w.PostForm(c, path, f))
	}

	// Enrollment, and every way to get it wrong.
	in := w.Add("bot", agents.Change{Scopes: []string{"a", "brevet:introspect"}, Audiences: []string{"https://api.example"}, TTL: new(time.Hour)})
	used := secret("a used enrollment token", in.Enrollment.Token)
	pending := secret("an unused enrollment token", w.Add("later", agents.Change{}).Enrollment.Token)
	bot := &servertest.Agent{World: w, Name: "bot"}
	for _, bad := range []map[string]any{{"token": used, "csr": "junk"}, {"token": used, "csr": used}, {used: "x"}, {"token": used, "csr": 1}, {"token": []string{used}}, {"token": used + "x", "csr": ""}} {
		keepJSON(w.Client(), "/v1/enroll", bad)
	}
	got := w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": used, "csr": bot.CSR(nil)})
	if got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	bot.Use(got)
	keepJSON(w.Client(), "/v1/enroll", map[string]any{"token": used, "csr": bot.CSR(nil)})
	bot.Use(bot.Renew())
	keepJSON(bot.HTTP, "/v1/certificates", map[string]any{"csr": "x", "token": pending})
	keepJSON(bot.HTTP, "/v1/certificates?token="+pending, map[string]any{})

	// Tokens, and every way to get them wrong.
	access := secret("an access token", bot.Token(url.Values{"scope": {"a"}}).JSON["access_token"].(string))
	secret("its signature", access[strings.LastIndex(access, ".")+1:])
	for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
		keepForm(w.Client(), path, "token", access)
		keepForm(w.Client(), path+"?token="+access, "token", access)
		keepForm(w.Client(), path, "token", access, "client_assertion", access, "grant_type", "client_credentials", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		keepForm(w.Client(), path, "token", access, "token", access)
		keepForm(bot.HTTP, path, "grant_type", access, "token", access+"x")
		keepForm(w.Client(), path, "token", access, "client_id", "bot", "client_secret", secret("a client secret", "correct-horse-battery-staple"))
		r, err := http.NewRequest("POST", w.URL+path, strings.NewReader("grant_type=client_credentials&token=x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("bot", secrets["a client secret"])
		resp, err := w.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		keep(servertest.Read(w, resp))
		r.Header.Set("Authorization", "Bearer "+access)
		r.Body, _ = r.GetBody()
		if resp, err = w.Client().Do(r); err != nil {
			t.Fatal(err)
		}
		keep(servertest.Read(w, resp))
	}
	for _, path := range []string{"/" + access, "/v1/enroll/" + pending, "/oauth/introspect/" + access + "?x=" + pending} {
		r, err := w.Client().Get(w.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		keep(servertest.Read(w, r))
	}

	// Operators, too.
	for _, refused := range []func() error{
		func() error { _, err := w.Admin.AddAgent(t.Context(), "bot", api.Change{}); return err },
		func() error { _, err := w.Admin.Introspect(t.Context(), access); return err },
		func() error { _, err := w.Admin.RevokeToken(t.Context(), access, ""); return err },
		func() error { _, err := w.Admin.Suspend(t.Context(), "bot", ""); return err },
		func() error { _, err := w.Admin.RotateKeyNow(t.Context(), "issuer", ""); return err },
		func() error { _, err := w.Admin.RotateKeyNow(t.Context(), "tokens", ""); return err },
	} {
		if err := refused(); err != nil {
			said.WriteString(err.Error())
		}
	}
	again, err := w.Admin.Reenroll(t.Context(), "later")
	if err != nil {
		t.Fatal(err)
	}
	secret("the next enrollment token", again.Enrollment.Token)
	w.Stop()
	w.Start()

	// The private keys, of the authority and of the agent.
	files, err := filepath.Glob(w.File("*.key"))
	if err != nil || len(files) != 6 {
		t.Fatalf("key files %v, %v", files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		secret(filepath.Base(name), string(block.Bytes[len(block.Bytes)/2:]))
	}
	der, err := x509.MarshalPKCS8PrivateKey(bot.Key)
	if err != nil {
		t.Fatal(err)
	}
	secret("the agent's key", string(der[30:60]))

	var events []byte
	err = w.Admin.Events(t.Context(), api.EventFilter{}, func(line json.RawMessage) error { events = append(events, line...); return nil })
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"the log": w.Log.String(), "the audit log": string(events), "the metrics": w.Metrics(), "refusals": said.String()}
	for place, text := range places {
		if len(text) < 1000 {
			t.Errorf("%s has only %d octets: %s", place, len(text), text)
		}
		for name, secret := range secrets {
			for how, form := range map[string]string{
				"": secret, " in hexadecimal": hex.EncodeToString([]byte(secret)), " in base64": base64.StdEncoding.EncodeToString([]byte(secret)), " in base64url": base64.RawURLEncoding.EncodeToString([]byte(secret)),
				" in part": secret[:len(secret)*2/3],
			} {
				if name == "an access token" && how == " in part" {
					form = secret[:strings.LastIndex(secret, ".")] // what is public without the signature would do no harm, but nobody needs it
				}
				if strings.Contains(text, form) {
					t.Errorf("%s holds %s%s", place, name, how)
				}
			}
		}
	}
}
