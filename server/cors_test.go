package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestPagesReadPublicDocuments: a browser lets pages of any origin read what is public,
// with header fields of their own, and nothing else.
func TestPagesReadPublicDocuments(t *testing.T) {
	w := servertest.New(t)
	ask := func(method, url string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://inspector.example")
		r.Header.Set("Access-Control-Request-Method", "GET")
		r.Header.Set("Access-Control-Request-Headers", "mcp-protocol-version")
		resp, err := w.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	issuer := w.Issuer
	for _, url := range []string{
		w.URL + "/.well-known/oauth-authorization-server", w.URL + "/.well-known/openid-configuration", w.URL + "/oauth/jwks", w.URL + "/openapi.json", w.URL + "/roots.pem", w.URL + "/chain.pem", w.URL + "/crl/bundle.pem",
		w.HTTP + "/crl/bundle.pem", w.HTTP + ca.CRLPath(issuer), w.HTTP + ca.CertificatePath(issuer),
	} {
		pre := ask("OPTIONS", url)
		if h := pre.Header; pre.StatusCode != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Headers") != "*" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "GET") {
			t.Errorf("preflight for %s: %s, %v", url, pre.Status, h)
		}
		for _, method := range []string{"GET", "HEAD"} {
			if got := ask(method, url); got.StatusCode != http.StatusOK || got.Header.Get("Access-Control-Allow-Origin") != "*" || got.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %s: %s, %v", method, url, got.Status, got.Header)
			}
		}
	}
	for _, path := range []string{"/oauth/token", "/oauth/introspect", "/v1/certificates", "/metrics", "/acme/directory", "/oauth/authorize"} {
		for _, method := range []string{"OPTIONS", "GET", "POST"} {
			if got := ask(method, w.URL+path); got.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s: %s, %v", method, path, got.Status, got.Header)
			}
		}
	}
}
