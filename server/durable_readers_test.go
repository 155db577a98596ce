package server

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// shown returns what the readers of a show: of an authority that goes on from another's
// store, too.
func (r *readers) shown(a *world) map[string]bool {
	what := map[string]bool{}
	note := func(shown bool, text string) {
		if shown {
			what[text] = true
		}
	}
	get := func(path string) string {
		got := a.ask(a.operators, "GET", path, "", "", nil)
		if got.status != http.StatusOK && got.status != http.StatusNotFound {
			r.t.Errorf("GET %s: %d %s", path, got.status, got.body)
		}
		return got.body
	}
	note(strings.Contains(get("/agents"), `"name":"new"`), "agent new")
	note(strings.Contains(get("/agents/"+r.name), `"state":"suspended"`), "agent suspended")
	issued := get("/certificates?agent=" + r.name)
	note(strings.Count(issued, `"serial"`) > 1, "2 certificates")
	note(strings.Contains(get("/certificates/"+serial(r.cert)), `"state":"revoked"`), "certificate revoked")
	note(strings.Contains(get("/tokens?agent="+r.name), `"jti"`), "a token on record")
	note(!a.good(r.cert), "OCSP: revoked")
	list, err := x509.ParseRevocationList([]byte(a.ask(a.public, "GET", ca.CRLPath(a.authority.CA.Issuer().ID), "", "", nil).body))
	must(r.t, err)
	for _, e := range list.RevokedCertificateEntries {
		note(e.SerialNumber.Cmp(r.cert.SerialNumber) == 0, "CRL: revoked")
	}
	if r.token != "" {
		note(!a.active(r.token), "operators' introspection: inactive")
		got := a.postForm("/oauth/introspect", url.Values{"token": {r.token}}, r.api)
		note(got.json["active"] == false, "introspection: inactive")
	}
	if !what["agent suspended"] {
		r.shownByACME(a, note)
	}
	for reader, lines := range map[string]string{"audit list": get("/audit"), "audit tail": r.tail.String()} {
		if a != r.world {
			lines = get("/audit") // where a tail would go on from
		}
		for line := range strings.Lines(lines) {
			var e api.Event
			must(r.t, json.Unmarshal([]byte(line), &e))
			note(true, fmt.Sprintf("%s: %s %s", reader, e.Action, e.Subject))
			note(true, reader+": "+line)
		}
	}
	return what
}

// shownByACME asks by the account's key and by the one that it changes to. Refusals would
// be recorded, so it does not ask for a suspended agent.
func (r *readers) shownByACME(a *world, note func(bool, string)) {
	for _, key := range []*ecdsa.PrivateKey{r.unopened.key, r.registered} {
		u := &account{world: a, key: key}
		got := u.post("/acme/new-account", map[string]any{"onlyReturnExisting": true})
		if got.status != http.StatusOK {
			continue
		}
		note(true, "ACME account")
		note(key == r.registered, "ACME account by its next key")
		if u.url = got.header.Get("Location"); r.order == "" {
			continue
		}
		got = u.post(r.order, nil)
		note(got.status == http.StatusOK, "ACME order")
		note(got.json["status"] == "valid", "ACME order valid")
		if at, ok := got.json["certificate"].(string); ok {
			got = u.post(strings.TrimPrefix(at, r.file.Advertise), nil)
			note(strings.HasPrefix(got.body, "-----BEGIN CERTIFICATE"), "ACME certificate")
		}
	}
}

// A tail is an operator's audit tail.
type tail struct {
	mu   sync.Mutex
	text strings.Builder
}

func (t *tail) Header() http.Header { return http.Header{} }
func (t *tail) WriteHeader(int)     {}
func (t *tail) Flush()              {}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// follow starts a tail that ends with the test.
func (a *world) follow(t *testing.T) *tail {
	followed, ctx := new(tail), t.Context()
	request := httptest.NewRequestWithContext(ctx, "GET", "/audit?follow=true", nil)
	var over sync.WaitGroup
	over.Go(func() { a.operators.ServeHTTP(followed, request) })
	t.Cleanup(over.Wait) // the context has ended before
	synctest.Wait()
	return followed
}
