package server

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
)

// newFuzzed is an authority with some agents, for fuzz targets.
func newFuzzed(f *testing.F) *world {
	f.Helper()
	a := newAuthority(f)
	a.add("bot", agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}, Keys: []string{publicPEM(f, newKey(f))}, Labels: map[string]string{"tier": "one"}})
	a.add("api", agents.Change{Owner: new("ops"), Scopes: []string{"brevet:introspect"}, DNS: []string{"api.example.com"}, IPs: []string{"192.0.2.1"}})
	for _, name := range []string{"bot", "api"} {
		a.operate("POST", "/agents/"+name+"/certificates", map[string]string{"csr": csrPEM(f, newKey(f), nil)})
	}
	return a
}

// try has a handler answer a raw request, and returns that, its body and the
// answer. It returns nil if package http would have refused the request.
func (a *world) try(h http.Handler, raw string) (*http.Request, string, *httptest.ResponseRecorder) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		return nil, "", nil
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), broken{err}))
	lasts := time.Minute
	if r.URL.Query().Get("follow") == "true" {
		lasts = 20 * time.Millisecond // a follower of the log goes away
	}
	ctx, cancel := context.WithTimeout(context.Background(), lasts)
	defer cancel()
	r.RemoteAddr, r.TLS = address(a.peers.Add(1)), &tls.ConnectionState{}
	w := httptest.NewRecorder()
	r = r.WithContext(ctx)
	h.ServeHTTP(w, r)
	return r, string(body), w
}

// broken is where a body that cannot be read to its end breaks off.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, cmp.Or(b.err, io.EOF) }

// raw is a request as it comes over the wire.
func raw(method, path, contentType, body string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: authority\r\nContent-Type: " + contentType + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// FuzzStranger: a client that has neither a certificate nor a token nor a key gets
// what is public, or a clear refusal; nothing is made, nothing recorded, and
// the authority never fails.
func FuzzStranger(f *testing.F) {
	a := newFuzzed(f)
	size := a.authority.Events()
	held := 0
	for _, ids := range a.holdings() {
		held += len(ids)
	}
	issuer := a.authority.CA.Issuer().ID
	public := []string{
		"/roots.pem", "/chain.pem", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/oauth/jwks", "/healthz", "/readyz",
		ca.CRLPath(issuer), ca.CertificatePath(issuer),
	}
	const form, doc = "application/x-www-form-urlencoded", "application/json"
	for _, path := range public {
		f.Add(raw("GET", path, "", ""), false)
		f.Add(raw("GET", path, "", ""), true)
		f.Add(raw("HEAD", path+"?x", "", ""), false)
		f.Add(raw("POST", path, doc, "{}"), true)
	}
	for _, body := range []string{
		`{"token":"brevet_enroll_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","csr":"x"}`, `{"token":null,"csr":{}}`, `{"csr":"x","csr":"y"}`, `[]`, `{"token":"` + strings.Repeat("x", 40_000) + `"}`, "",
	} {
		f.Add(raw("POST", "/v1/enroll", doc, body), false)
		f.Add(raw("POST", "/v1/certificates", doc, body), false)
	}
	for _, body := range []string{
		"grant_type=client_credentials&client_id=bot", "grant_type=client_credentials&grant_type=password", "grant_type=password&username=bot&password=bot", "token=a.b.c", "token=&token_type_hint=access_token",
		"client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&grant_type=client_credentials&client_assertion=eyJhbGciOiJub25lIn0.eyJpc3MiOiJib3QiLCJzdWIiOiJib3QifQ.", "%ff=%", "",
	} {
		for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
			f.Add(raw("POST", path, form, body), false)
		}
	}
	f.Add("POST /oauth/introspect HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x.y.z\r\nContent-Type: "+form+"\r\nContent-Length: 7\r\n\r\ntoken=x", false)
	f.Add("POST /oauth/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Ym90OmJvdA==\r\nContent-Type: "+form+"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntoken\r\n0\r\n\r\n", false)
	f.Add("GET /crl/../issuer/"+issuer+".cer HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n", true)
	ocsp := "application/ocsp-request"
	f.Add(raw("POST", ca.OCSPPath, ocsp, "0\x030\x010\x00"), true)
	f.Add(raw("POST", ca.OCSPPath, ocsp, string(a.ocspRequest(a.authority.Own.Current().Leaf))), true)
	f.Add(raw("GET", ca.OCSPPath+"/"+base64.StdEncoding.EncodeToString(a.ocspRequest(a.authority.Own.Current().Leaf)), "", ""), true)
	f.Fuzz(func(t *testing.T, text string, plain bool) {
		h := a.agents
		if plain {
			h = a.public
		}
		r, _, w := a.try(h, text)
		if r == nil {
			return
		}
		got := w.Result()
		switch {
		case got.StatusCode >= 500:
			t.Errorf("%q: %d %s", text, got.StatusCode, w.Body)
		case plain && strings.HasPrefix(r.URL.Path, ca.OCSPPath) && got.Header.Get("Content-Type") == "application/ocsp-response": // see package ocsp
		case got.StatusCode == http.StatusOK && (r.Method != "GET" && r.Method != "HEAD" || !slices.Contains(public, r.URL.Path)):
			t.Errorf("%q: %d %s", text, got.StatusCode, w.Body)
		}
		if kind := got.Header.Get("Content-Type"); strings.Contains(kind, "json") && r.Method != "HEAD" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q: answered with %s that is none: %s", text, kind, w.Body)
		}
		if id := got.Header.Get("X-Request-Id"); len(id) != 16 {
			t.Errorf("%q: the request's id is %q", text, id)
		}
		if n := a.authority.Events(); n != size {
			size = n
			t.Errorf("%q: it is recorded: %+v", text, a.log(n-1))
		}
		if strings.HasPrefix(r.URL.Path, "/v1/") || strings.HasPrefix(r.URL.Path, "/oauth/") {
			n := 0
			for _, ids := range a.holdings() {
				n += len(ids)
			}
			if n != held {
				held = n
				t.Errorf("%q: a credential was made", text)
			}
		}
	})
}
