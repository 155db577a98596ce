package client

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix/pkixtest"
)

func TestEnrollSavesWhatLoadFinds(t *testing.T) {
	a := newAuthority(t)
	dir := filepath.Join(t.TempDir(), "agents", "bot")
	c := a.config(dir, "db.corp.example", "10.1.2.3", "2001:db8::1")
	id, err := Enroll(t.Context(), c)
	check(t, err)
	if id.Agent() != "bot" || id.String() != "spiffe://corp.example/agent/bot" || id.Server() != a.url {
		t.Errorf("enrolled as %q, %v at %q", id.Agent(), id, id.Server())
	}
	want := []string{"bot.corp.example", "db.corp.example", "10.1.2.3", "2001:db8::1"}
	if got := names(id.Certificate()); !slices.Equal(got, want) {
		t.Errorf("names are %q, want %q", got, want)
	}
	checkDirectory(t, dir)
	if a.log.contains("PRIVATE KEY") {
		t.Error("the private key was sent")
	}
	for _, path := range []string{"cert.pem", "key.pem"} { // what other programs read
		if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	again, err := Load(dir)
	check(t, err)
	if !again.Certificate().Equal(id.Certificate()) || again.Server() != a.url {
		t.Error("Load does not return what Enroll did")
	}
	check(t, again.Renew(t.Context()))
	if got := names(again.Certificate()); !slices.Equal(got, want) {
		t.Errorf("after the renewal names are %q, want %q", got, want)
	}
	if _, err := Enroll(t.Context(), c); err == nil || !strings.Contains(err.Error(), "token is not valid") {
		t.Errorf("the token was used twice: %v", err)
	}
	if kept, err := Load(dir); err != nil || !kept.Certificate().Equal(again.Certificate()) {
		t.Errorf("a refused enrollment damaged the identity that was there: %v", err)
	}
}

// checkDirectory checks that it holds an identity and nothing else, for its
// owner alone.
func checkDirectory(t *testing.T, dir string) {
	t.Helper()
	var found []string
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		info, statErr := d.Info()
		check(t, errors.Join(err, statErr))
		if path == dir {
			if info.Mode().Perm() != 0o700 {
				t.Errorf("the directory has mode %v", info.Mode())
			}
			return nil
		}
		found = append(found, d.Name())
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	}))
	if want := []string{"cert.pem", "client.json", "key.pem", "roots.pem"}; !slices.Equal(found, want) {
		t.Errorf("%s holds %q, want %q", dir, found, want)
	}
}

// TestTokenIsSentToNobodyElse is about servers in the authority's place.
func TestTokenIsSentToNobodyElse(t *testing.T) {
	genuine, impostor := newAuthority(t), newAuthority(t)
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, impostor.url+r.URL.Path, http.StatusTemporaryRedirect)
	}
	cases := []struct {
		name, want string
		prepare    func(c *EnrollConfig)
	}{
		{"another root", "do not enroll", func(c *EnrollConfig) { c.Server = impostor.url }},
		{"the genuine root file", "the pinned root did not issue", func(c *EnrollConfig) {
			c.Server = impostor.url
			impostor.breakPath("/roots.pem", func(w http.ResponseWriter, _ *http.Request) {
				w.Write(certificatesPEM(impostor.root.Cert.Raw, genuine.root.Cert.Raw))
			})
		}},
		{"another name", "use the URL that the operator advertises", func(c *EnrollConfig) {
			c.Server = strings.Replace(genuine.url, "127.0.0.1", "localhost", 1)
		}},
		{"a leaf for a root", "is not that of a root", func(c *EnrollConfig) {
			leaf := genuine.issuing.Sign(&x509.Certificate{SerialNumber: genuine.root.Cert.SerialNumber}, genuine.root.Key.Public())
			c.Server, c.Fingerprints = impostor.url, []Fingerprint{fingerprint(leaf)}
			impostor.breakPath("/roots.pem", func(w http.ResponseWriter, _ *http.Request) { w.Write(certificatesPEM(leaf.Raw)) })
		}},
		{"a redirect of the root file", "redirects", func(*EnrollConfig) { genuine.breakPath("/roots.pem", redirect) }},
		{"no PEM", "is that the URL", func(*EnrollConfig) {
			genuine.breakPath("/roots.pem", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) })
		}},
		{"an endless root file", "more than 65536 octets", func(*EnrollConfig) {
			genuine.breakPath("/roots.pem", func(w http.ResponseWriter, _ *http.Request) {
				for err := error(nil); err == nil; { // until the client hangs up
					_, err = w.Write(make([]byte, 1<<16))
				}
			})
		}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			genuine.breakPath("/roots.pem", nil)
			impostor.breakPath("/roots.pem", nil)
			c := genuine.config(t.TempDir())
			tc.prepare(&c)
			_, err := Enroll(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if token := c.Token.Reveal(); genuine.log.contains(token) || impostor.log.contains(token) || strings.Contains(err.Error(), token) {
				t.Error("the token was sent or shown")
			}
			if errors.Is(err, ErrReenroll) {
				t.Errorf("the error asks for a new token: %v", err)
			}
		})
	}
	if n := genuine.log.count("/v1/enroll") + impostor.log.count("/v1/enroll"); n != 0 {
		t.Errorf("%d requests to enroll were made", n)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	a.breakPath("/v1/enroll", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.url+"/v1/enroll", http.StatusPermanentRedirect)
	})
	_, err := Enroll(t.Context(), a.config(t.TempDir()))
	if err == nil || !strings.Contains(err.Error(), "redirects") || other.log.count("/v1/enroll") > 0 {
		t.Errorf("got %v and %d requests elsewhere", err, other.log.count("/v1/enroll"))
	}
}

// TestPinsChooseRoots is about an authority that has two roots.
func TestPinsChooseRoots(t *testing.T) {
	a := newAuthority(t)
	next := pkixtest.NewCA(t, classical, "next root", nil)
	a.breakPath("/roots.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Write(certificatesPEM(next.Cert.Raw, a.root.Cert.Raw))
	})
	for _, pins := range [][]Fingerprint{{fingerprint(a.root.Cert)}, {fingerprint(a.root.Cert), fingerprint(next.Cert)}} {
		c := a.config(t.TempDir())
		c.Fingerprints = pins
		_, err := Enroll(t.Context(), c)
		check(t, err)
		s, err := directory(c.Dir).load()
		check(t, err)
		if len(s.trust.roots) != len(pins) {
			t.Errorf("%d roots were kept, want the %d pinned", len(s.trust.roots), len(pins))
		}
	}
}

// TestBadAnswersAreRefused gives each to an enrollment and to a renewal.
func TestBadAnswersAreRefused(t *testing.T) {
	foreign := pkixtest.NewCA(t, classical, "foreign", nil)
	other, err := newKey()
	check(t, err)
	member := func(name string, change func(string) string) func(*authority) {
		return func(a *authority) {
			a.answer = func(doc map[string]string) map[string]string {
				doc[name] = change(doc[name])
				return doc
			}
		}
	}
	alter := func(f func(*x509.Certificate, *any) *signer) func(*authority) {
		return func(a *authority) { a.alter = f }
	}
	reply := func(body string) func(*authority) {
		return func(a *authority) {
			for _, path := range []string{"/v1/enroll", "/v1/certificates"} {
				a.instead[path] = func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) }
			}
		}
	}
	cases := []struct {
		name, want string
		damage     func(*authority)
	}{
		{"another key", "another key than ours", alter(func(_ *x509.Certificate, key *any) *signer { *key = other.Public(); return nil })},
		{"another root", "no certificate is known of the issuer", alter(func(*x509.Certificate, *any) *signer { return foreign })},
		{"its own chain", "no valid path to a root", func(a *authority) {
			a.alter = func(*x509.Certificate, *any) *signer { return foreign }
			member("chain", func(string) string { return string(certificatesPEM(foreign.Cert.Raw)) })(a)
		}},
		{"no chain", "no certificate is known of the issuer", member("chain", func(string) string { return "" })},
		{"expired", "clock of this machine", alter(func(c *x509.Certificate, _ *any) *signer { c.NotAfter = time.Now().Add(-time.Second); return nil })},
		{"not yet valid", "clock of this machine", alter(func(c *x509.Certificate, _ *any) *signer { c.NotBefore = time.Now().Add(time.Minute); return nil })},
		{"ends before it begins", "clock of this machine", alter(func(c *x509.Certificate, _ *any) *signer { c.NotAfter = c.NotBefore.Add(-24 * time.Hour); return nil })},
		{"for servers only", "extended key usage lacks it", alter(func(c *x509.Certificate, _ *any) *signer { c.ExtKeyUsage = c.ExtKeyUsage[:1]; return nil })},
		{"a CA", "does not name an agent", alter(func(c *x509.Certificate, _ *any) *signer {
			c.IsCA, c.BasicConstraintsValid = true, true
			return nil
		})},
		{"no SPIFFE ID", "does not name an agent", alter(func(c *x509.Certificate, _ *any) *signer { c.URIs = nil; return nil })},
		{"two SPIFFE IDs", "does not name an agent", alter(func(c *x509.Certificate, _ *any) *signer { c.URIs = append(c.URIs, c.URIs[0]); return nil })},
		{"two names for one agent", "does not name an agent", alter(func(c *x509.Certificate, _ *any) *signer { c.Subject.CommonName = "ot"; return nil })},
		{"another end", "the answer says", member("not_after", func(string) string { return "2099-01-01T00:00:00Z" })},
		{"no end", "parsing time", member("not_after", func(string) string { return "soon" })},
		{"two certificates", "more than one", member("certificate", func(s string) string { return s + s })},
		{"a certificate cut off", "cut off", member("certificate", func(s string) string { return s[:len(s)-30] })},
		{"a key in the chain", "nothing else", member("chain", func(s string) string { return s + "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n" })},
		{"too large", "more than 65536 octets", reply(strings.Repeat(" ", maxAnswer) + "{}")},
		{"not JSON", "invalid character", reply("<html>")},
		{"nothing", "reading the answer", reply("")},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			a := newAuthority(t)
			dir := t.TempDir()
			id := a.enroll(t, dir)
			before := id.Certificate()
			a.mu.Lock()
			tc.damage(a)
			a.mu.Unlock()
			if err := id.Renew(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) || errors.Is(err, ErrReenroll) {
				t.Errorf("renewing: got %v, want %q", err, tc.want)
			}
			if saved, err := Load(dir); err != nil || id.Certificate() != before || !saved.Certificate().Equal(before) {
				t.Errorf("the bad answer replaced the certificate (%v)", err)
			}
			empty := filepath.Join(t.TempDir(), "bot")
			c := a.config(empty)
			_, err := Enroll(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !errors.Is(err, ErrReenroll) || strings.Contains(err.Error(), c.Token.Reveal()) {
				t.Errorf("enrolling: got %v, want %q", err, tc.want)
			}
			if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
				t.Errorf("a failed enrollment left %v (%v)", left, err)
			}
		})
	}
}

func TestRenewalForAnotherAgentIsRefused(t *testing.T) {
	a := newAuthority(t)
	id := a.enroll(t, t.TempDir())
	a.alter = func(c *x509.Certificate, _ *any) *signer {
		c.Subject.CommonName, c.URIs[0].Path = "admin", "/agent/admin"
		return nil
	}
	if err := id.Renew(t.Context()); err == nil || !strings.Contains(err.Error(), "one for admin") || id.Agent() != "bot" {
		t.Errorf("got %v as %s", err, id.Agent())
	}
}

func TestEnrollSaysWhatBecameOfTheToken(t *testing.T) {
	a := newAuthority(t)
	broken := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		conn.Close()
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	closed.Close()
	plain := newPlainServer(t)
	cases := []struct {
		name, want string
		spent      bool
		enroll     http.HandlerFunc
		server     string
	}{
		{name: "a connection that breaks", want: "ended before its answer was there", spent: true, enroll: broken},
		{name: "a proxy's error", want: "gives no reason (502)", spent: true, enroll: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }},
		{name: "a refusal", want: "names are missing (403)", enroll: problem(403, "names are missing")},
		{name: "too many", want: "wait a little (429)", enroll: problem(429, "wait a little")},
		{name: "nobody there", want: "is brevet serve running there?", server: "https://" + closed.Addr().String()},
		{name: "no TLS", want: "does not speak TLS", server: "https://" + plain},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			a.breakPath("/v1/enroll", tc.enroll)
			c := a.config(t.TempDir())
			if tc.server != "" {
				c.Server = tc.server
			}
			_, err := Enroll(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tc.want) || errors.Is(err, ErrReenroll) != tc.spent {
				t.Errorf("got %v, want %q and spent=%v", err, tc.want, tc.spent)
			}
		})
	}
}

// newPlainServer is what a person meets who gives the port for plain HTTP.
func newPlainServer(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	srv := &http.Server{}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return l.Addr().String()
}

func TestEnrollChecksItsConfig(t *testing.T) {
	a := newAuthority(t)
	for name, breakIt := range map[string]func(*EnrollConfig){
		"fingerprint":        func(c *EnrollConfig) { c.Fingerprints = nil },
		"token":              func(c *EnrollConfig) { c.Token = Secret{} },
		"directory":          func(c *EnrollConfig) { c.Dir = "" },
		"invalid server URL": func(c *EnrollConfig) { c.Server = "http://127.0.0.1" },
		"preparing":          func(c *EnrollConfig) { c.Dir = filepath.Join(os.Args[0], "bot") }, // below a file
		"request":            func(c *EnrollConfig) { c.Names = []string{"bücher.example"} },
	} {
		c := a.config(t.TempDir())
		breakIt(&c)
		if _, err := Enroll(t.Context(), c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if n := a.log.count("/v1/enroll"); n != 0 {
		t.Errorf("%d tokens were spent on configs that cannot work", n)
	}
}

func TestParseServer(t *testing.T) {
	for in, want := range map[string]string{
		"https://CA.example": "https://ca.example", "https://ca.example:8443/": "https://ca.example:8443", "https://[::1]:8443": "https://[::1]:8443",
		"http://ca.example": "", "ca.example": "", "https://": "", "https://ca.example/x": "", "https://ca.example?x": "", "https://ca.example#x": "",
		"https://bot:hunter2@ca.example": "", "https://bot:hunter2 @ca.example": "", "": "",
	} {
		got, err := parseServer(in)
		if got != want || (err == nil) != (want != "") || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestSettingsGrow(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	a.enroll(t, dir)
	text, err := json.Marshal(map[string]any{"server": a.url, "later": 1})
	check(t, err)
	check(t, directory(dir).write(settingsFile, text))
	if _, err := Load(dir); err != nil {
		t.Errorf("client.json of a later version: %v", err)
	}
}
