package sinks

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents/secret"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// TestSignatureIsThatOfStandardWebhooks has the example of the specification's libraries.
func TestSignatureIsThatOfStandardWebhooks(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(hookSecret, secretPrefix))
	if err != nil {
		t.Fatal(err)
	}
	got := sign(secret.New(string(key)), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A hook is a receiver that checks signatures and fails now and then.
type hook struct {
	*httptest.Server
	t      testing.TB
	ca     string
	secret string
	fails  int // of ten requests
	received
}

func newHook(t testing.TB) *hook {
	h := &hook{t: t, secret: filepath.Join(t.TempDir(), "secret")}
	if err := os.WriteFile(h.secret, []byte(hookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Server, h.ca = certificate(t, h)
	return h
}

func (h *hook) config() Config {
	return Config{Name: "hook", Kind: Webhook, Target: h.URL + "/events?key=hidden", CA: h.ca, Secret: h.secret}
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was killed
	}
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(hookSecret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(body)))
	at, err := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute || r.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) ||
		r.Header.Get("Content-Type") != map[bool]string{false: "application/jsonl", true: "text/plain; charset=utf-8"}[h.cef] || r.Method != "POST" {
		h.t.Errorf("a request has %v", r.Header)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch n := rand.IntN(10); {
	case n < h.fails/2:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case n < h.fails: // it takes the events, but the answer is lost
		defer panic(http.ErrAbortHandler)
	}
	for line := range bytes.Lines(body) {
		if err := h.take(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			h.t.Error(err)
		}
	}
}

// TestWebhookGetsAllWhateverFails: refusals and lost answers are repeated.
func TestWebhookGetsAllWhateverFails(t *testing.T) {
	t.Parallel()
	db := openStore(t, t.TempDir())
	defer db.Close()
	h := newHook(t)
	h.fails = 4
	h.Config.ErrorLog = nil
	r := start(t, db, h.config())
	for range 5 {
		r.add(230)
		r.caughtUp()
	}
	h.check(t, db)
}

// TestWebhookFollowsNoRedirect, and its error does not repeat the query.
func TestWebhookFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	db := openStore(t, t.TempDir())
	defer db.Close()
	h := newHook(t)
	other, ca := certificate(t, http.RedirectHandler(h.URL, http.StatusTemporaryRedirect))
	c := h.config()
	c.Target, c.CA = other.URL+"/?key=hidden", ca
	r := start(t, db, c)
	r.add(1)
	until(t, func() bool { return r.status().Error != "" })
	if st := r.status(); st.Error != "the webhook answered 307" || st.Behind != 1 || h.count() != 0 {
		t.Errorf("it is %+v", st)
	}
	other.Close()
	until(t, func() bool { return r.status().Error != "the webhook answered 307" })
	if st := r.status(); strings.Contains(st.Error, "hidden") {
		t.Errorf("the error says %s", st.Error)
	}
}

func TestSecretsOfWebhooks(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	for text, good := range map[string]bool{
		hookSecret: true, hookSecret + "\n": true, "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 64)): true,
		"": false, "whsec_": false, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": false, "whsec_MfKQ": false, "whsec_!": false,
		"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)): false,
	} {
		if err := os.WriteFile(filepath.Join(dir, "hook"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []Config{{Credential: "hook"}, {Secret: filepath.Join(dir, "hook")}} {
			if _, err := c.readSecret(); (err == nil) != good || err != nil && strings.Contains(err.Error(), "MfKQ") {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "open"), []byte(hookSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "open"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (Config{Credential: "open"}).readSecret(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("of a file that others may read: %v", err)
	}
}
