package server_test

import (
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// fetchAs gets a URL as a software of this name.
func fetchAs(t *testing.T, c *http.Client, url, software string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", software)
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, resp.Status, err)
	}
	return body
}

// TestRehearsalForetellsSizes: the rotation then makes what it says, to the octet
// apart from the few by which ECDSA signatures differ.
func TestRehearsalForetellsSizes(t *testing.T) {
	for from, to := range map[string][]string{
		"ecdsa-p256":             {"mldsa44-ed25519-sha512", "ecdsa-p384+mldsa87"},
		"mldsa65-ed25519-sha512": {"mldsa87", "ecdsa-p256"},
	} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = from })
			first := w.Enroll("first", agents.Change{TTL: new(time.Hour)})
			for i, algorithm := range to {
				if _, err := w.Admin.RevokeCertificate(t.Context(), first.Serial(), ""); err != nil {
					t.Fatal(err)
				}
				r, err := w.Admin.DryRunKey(t.Context(), "issuer", algorithm)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Admin.RotateKeyNow(t.Context(), "issuer", algorithm); err != nil {
					t.Fatal(err)
				}
				a := w.Enroll("agent"+string(rune('0'+i)), agents.Change{TTL: new(time.Hour)})
				if _, err := w.Admin.RevokeCertificate(t.Context(), a.Serial(), ""); err != nil {
					t.Fatal(err)
				}
				keyed, err := w.Admin.CRL(t.Context(), "")
				if err != nil {
					t.Fatal(err)
				}
				leaf, issuer := len(a.Cert.Certificate[0]), len(a.Cert.Certificate[1])
				list := len(fetchAs(t, http.DefaultClient, w.HTTP+ca.CRLPath(keyed.Issuer), "test"))
				for what, want := range map[string]int{"certificate": leaf, "chain sent in TLS": leaf + issuer, "issuer's certificate": issuer, "CRL, as it is now": list} {
					j := slices.IndexFunc(r.Sizes, func(s api.Size) bool { return s.What == what })
					if j < 0 || r.Sizes[j].Then < want-80 || r.Sizes[j].Then > want+80 {
						t.Errorf("%s to %s: %s has %d octets, said was %+v", from, algorithm, what, want, r.Sizes)
					}
				}
				first = w.Enroll("more"+string(rune('0'+i)), agents.Change{TTL: new(time.Hour)})
			}
		})
	}
}

// TestRehearsalChangesNothing: no key, no file, no event, no CRL number.
func TestRehearsalChangesNothing(t *testing.T) {
	w := servertest.New(t)
	w.Enroll("bot", agents.Change{})
	look := func() (all []any) {
		keys, err1 := w.Admin.Keys(t.Context())
		list, err2 := w.Admin.CRL(t.Context(), "")
		status, err3 := w.Admin.Status(t.Context())
		files, err4 := filepath.Glob(filepath.Join(w.Dir, "*"))
		for _, err := range []error{err1, err2, err3, err4} {
			if err != nil {
				t.Fatal(err)
			}
		}
		return []any{keys, list, status.Events, files}
	}
	before := look()
	for purpose, algorithm := range map[string]string{"issuer": "mldsa65", "tokens": "ed25519", "tokens-pq": "mldsa44"} {
		if r, err := w.Admin.DryRunKey(t.Context(), purpose, algorithm); err != nil || r.To != algorithm || len(r.Sizes) == 0 {
			t.Errorf("%s to %s: %+v, %v", purpose, algorithm, r, err)
		}
	}
	for purpose, algorithm := range map[string]string{"root": "", "audit": "", "https-issuer": "", "tokens": "mldsa65", "issuer": "rsa"} {
		if r, err := w.Admin.DryRunKey(t.Context(), purpose, algorithm); err == nil {
			t.Errorf("%s to %q is rehearsed: %+v", purpose, algorithm, r)
		}
	}
	if after := look(); !reflect.DeepEqual(before, after) {
		t.Errorf("before: %+v\nafter: %+v", before, after)
	}
}

// TestRehearsalKnowsWhoReliedHow over restarts, and not by what was refused.
func TestRehearsalKnowsWhoReliedHow(t *testing.T) {
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{Scopes: []string{"a:b"}, Audiences: []string{"https://x.example"}})
	if got := bot.Renew(); got.Status != http.StatusOK {
		t.Fatalf("renewing: %d %s", got.Status, got.Body)
	}
	fetchAs(t, http.DefaultClient, w.HTTP+ca.CRLPath(w.Issuer), "verifier/1")
	fetchAs(t, w.Client(), w.URL+"/oauth/jwks?alg=ES256", "resource/1")
	for _, refused := range []string{"/oauth/jwks?alg=none", "/nothing"} {
		r, err := w.Client().Get(w.URL + refused)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
	}
	for _, when := range []string{"at once", "after a restart"} {
		r, err := w.Admin.DryRunKey(t.Context(), "issuer", "mldsa44-ecdsa-p256-sha256")
		if err != nil {
			t.Fatal(err)
		}
		if got := servertest.Verdict(r, "127.0.0.1", "verifier/1"); got != "breaks" {
			t.Errorf("%s: the verifier of certificates: %q", when, got)
		}
		if got := servertest.Verdict(r, "127.0.0.1", "resource/1"); got != "works" {
			t.Errorf("%s: the verifier of tokens, for a change of the issuer: %q", when, got)
		}
		if got := servertest.Verdict(r, "bot", "Go-http-client/2.0"); got != "unknown" {
			t.Errorf("%s: the agent: %q of %+v", when, got, r.Parties)
		}
		for _, p := range r.Parties {
			for _, u := range p.Uses {
				if strings.HasSuffix(u, "none") {
					t.Errorf("%s: a refused request counts: %+v", when, p)
				}
			}
		}
		r, err = w.Admin.DryRunKey(t.Context(), "tokens", "ecdsa-p384")
		if err != nil || r.Breaks != 1 || servertest.Verdict(r, "127.0.0.1", "resource/1") != "breaks" {
			t.Errorf("%s: tokens: %+v, %v", when, r, err)
		}
		w.Stop()
		w.Start()
	}
	// A client that has presented a certificate of such an issuer will take the next one.
	if _, err := w.Admin.RotateKeyNow(t.Context(), "issuer", "mldsa44"); err != nil {
		t.Fatal(err)
	}
	bot = w.Enroll("second", agents.Change{})
	if got := bot.Renew(); got.Status != http.StatusOK {
		t.Fatalf("renewing: %d %s", got.Status, got.Body)
	}
	r, err := w.Admin.DryRunKey(t.Context(), "issuer", "mldsa44")
	if err != nil || servertest.Verdict(r, "second", "Go-http-client/2.0") != "works" || servertest.Verdict(r, "bot", "Go-http-client/2.0") != "unknown" {
		t.Errorf("once more: %+v, %v", r.Parties, err)
	}
}

func TestImpostorIsNoAgent(t *testing.T) {
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{})
	if _, err := w.Admin.Suspend(t.Context(), "bot", ""); err != nil {
		t.Fatal(err)
	}
	if got := bot.Renew(); got.Status == http.StatusOK {
		t.Fatal("a suspended agent renews")
	}
	fetchAs(t, w.Client(bot.Cert), w.URL+"/healthz", "x/1")
	r, err := w.Admin.DryRunKey(t.Context(), "issuer", "mldsa44")
	if err != nil || servertest.Verdict(r, "127.0.0.1", "x/1") == "" || slices.ContainsFunc(r.Parties, func(p api.RelyingParty) bool { return p.Agent && p.Software == "x/1" }) {
		t.Errorf("believed by a certificate that nobody accepted: %+v, %v", r.Parties, err)
	}
}

// An agent is known by its name from its enrollment on, and so is what it requires.
func TestRehearsalKnowsWhoEnrolled(t *testing.T) {
	w := servertest.New(t)
	w.Enroll("bot", agents.Change{})
	r, err := w.Admin.DryRunKey(t.Context(), "issuer", "mldsa44")
	if err != nil || servertest.Verdict(r, "bot", "Go-http-client/2.0") != "unknown" {
		t.Errorf("%+v, %v", r.Parties, err)
	}
}
