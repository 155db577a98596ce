package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

// A liars is an authority with one honest agent, and who else knocks at it.
type liars struct {
	*world
	t        *testing.T
	key      *ecdsa.PrivateKey // of bot's certificate
	register *ecdsa.PrivateKey // registered for bot
	cert     *x509.Certificate
	token    string
}

func newLiars(t *testing.T) *liars {
	a := newAuthority(t)
	l := &liars{world: a, t: t, key: newKey(t), register: newKey(t)}
	l.cert, l.token = l.enroll("bot", l.key, agents.Change{
		Scopes: []string{"read"}, Audiences: []string{"https://api.example"}, Keys: []string{publicPEM(t, l.register)},
	})
	return l
}

// enroll registers an agent and returns its certificate and a token for it.
func (l *liars) enroll(name string, key *ecdsa.PrivateKey, c agents.Change) (*x509.Certificate, string) {
	l.t.Helper()
	invited := l.add(name, c)
	cert := l.postJSON(l.agents, "/v1/enroll", map[string]string{"token": invited, "csr": csrPEM(l.t, key, nil)}, nil).leaf(l.t)
	token := l.postForm(oauth.TokenPath, wantToken(url.Values{}), cert).token()
	if cert == nil || token == "" && len(c.Audiences) == 1 {
		l.t.Fatalf("%s cannot be enrolled", name)
	}
	return cert, token
}

// forge makes a certificate signed by signer that copies bot's, apart from
// what change changes.
func (l *liars) forge(signer *ecdsa.PrivateKey, change func(*x509.Certificate)) *x509.Certificate {
	l.t.Helper()
	c := &x509.Certificate{
		SerialNumber: l.cert.SerialNumber, Subject: l.cert.Subject, URIs: l.cert.URIs, DNSNames: l.cert.DNSNames, NotBefore: l.cert.NotBefore,
		NotAfter: l.cert.NotAfter, KeyUsage: l.cert.KeyUsage, ExtKeyUsage: l.cert.ExtKeyUsage, SubjectKeyId: l.cert.SubjectKeyId, AuthorityKeyId: l.cert.AuthorityKeyId,
	}
	change(c)
	issuer := &x509.Certificate{RawSubject: l.cert.RawIssuer, SubjectKeyId: l.cert.AuthorityKeyId, PublicKey: signer.Public()}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, l.key.Public(), signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return parseDER(l.t, der)
}

func parseDER(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestClientCertificatesThatLie presents every certificate that does not
// authenticate an agent at every endpoint that takes one, alone and beside a
// good assertion. All get the same refusal, to the octet; nothing is made; and
// what concerns an agent is recorded.
func TestClientCertificatesThatLie(t *testing.T) {
	l := newLiars(t)
	revoked, _ := l.enroll("revoked", newKey(t), agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}})
	l.operate("POST", "/certificates/"+serial(revoked)+"/revoke", nil)
	suspended, _ := l.enroll("suspended", newKey(t), agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}})
	l.operate("POST", "/agents/suspended/suspend", nil)
	gone, _ := l.enroll("gone", newKey(t), agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}})
	l.operate("POST", "/agents/gone/decommission", nil)
	brief, _ := l.enroll("brief", newKey(t), agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}, TTL: new(time.Minute), RenewGrace: new(time.Duration(0))})
	elsewhere := newLiars(t).cert
	stranger := newKey(t)
	same := func(*x509.Certificate) {}
	l.set(l.now().Add(2 * time.Minute)) // brief has expired, bot has not
	lies := []struct {
		what  string
		cert  *x509.Certificate
		about string // the agent that the refusal is recorded of
	}{
		{"a foreign CA's, with the serial number of bot's", l.forge(stranger, same), "bot"},
		{"a foreign CA's, with a serial number of its own", l.forge(stranger, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(4711) }), ""},
		{"self-signed with bot's own key", l.forge(l.key, same), "bot"},
		{"a foreign CA's, expired", l.forge(stranger, func(c *x509.Certificate) { c.SerialNumber, c.NotAfter = big.NewInt(4711), dawn.Add(-time.Hour) }), ""},
		{"of another authority of the same name", elsewhere, ""},
		{"expired", brief, "brief"},
		{"revoked", revoked, "revoked"},
		{"of a suspended agent", suspended, "suspended"},
		{"of a decommissioned agent", gone, "gone"},
		{"the server's own", l.authority.Own.Current().Leaf, "brevet"},
		{"the issuing CA's", parseDER(t, l.authority.CA.Issuer().Certificate()), ""},
		{"the root's", l.root(), ""},
		{"with a signature that says the same otherwise", l.malleable(), "bot"},
	}
	endpoints := map[string]func(cert *x509.Certificate) reply{
		"/v1/certificates": func(cert *x509.Certificate) reply {
			return l.postJSON(l.agents, "/v1/certificates", map[string]string{"csr": csrPEM(t, l.key, nil)}, cert)
		},
		"/oauth/token": func(cert *x509.Certificate) reply { return l.postForm(oauth.TokenPath, wantToken(url.Values{}), cert) },
		"/oauth/token with a good assertion": func(cert *x509.Certificate) reply {
			return l.postForm(oauth.TokenPath, wantToken(l.byAssertion("bot", l.register)), cert)
		},
		"/oauth/introspect": func(cert *x509.Certificate) reply {
			return l.postForm(oauth.IntrospectPath, url.Values{"token": {l.token}}, cert)
		},
		"/oauth/revoke": func(cert *x509.Certificate) reply {
			return l.postForm(oauth.RevokePath, url.Values{"token": {l.token}}, cert)
		},
	}
	for path, ask := range endpoints {
		first := ""
		for _, lie := range lies {
			size := l.authority.Events()
			got := ask(lie.cert)
			if first == "" {
				first = got.body
			}
			if got.status != http.StatusUnauthorized || got.body != first {
				t.Errorf("%s, %s: %d %s, want 401 and what all others are told", path, lie.what, got.status, got.body)
			}
			events := l.log(size)
			if len(events) > 1 || (len(events) == 1) != (lie.about != "") {
				t.Errorf("%s, %s: recorded are %+v, want one about %q", path, lie.what, events, lie.about)
			} else if len(events) == 1 && (events[0].Subject != lie.about || events[0].Decision != audit.Deny) {
				t.Errorf("%s, %s: recorded is %+v, want a refusal about %s", path, lie.what, events[0], lie.about)
			}
		}
	}
	if !l.active(l.token) {
		t.Error("a liar revoked a token of bot's")
	}
	if got := endpoints["/v1/certificates"](l.cert); got.status != http.StatusOK {
		t.Errorf("bot's own certificate, after all that: %d %s", got.status, got.body)
	}
	for agent, n := range map[string]int{"bot": 3, "revoked": 2, "suspended": 2, "gone": 2, "brief": 2, "brevet": 1} {
		if held := l.holdings()[agent]; len(held) != n {
			t.Errorf("%s holds %v, want %d", agent, held, n)
		}
	}
}

func (l *liars) root() *x509.Certificate {
	l.t.Helper()
	var der []byte
	err := l.db.View(context.Background(), func(tx storage.Tx) error {
		roots, _, err := ca.Authorities(tx)
		if err == nil {
			der = roots[0].Certificate
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return parseDER(l.t, der)
}

// malleable is bot's certificate with the other of the two ECDSA signatures
// that everybody can make of one: s in place of n-s. It verifies.
func (l *liars) malleable() *x509.Certificate {
	l.t.Helper()
	der := flipECDSA(l.t, l.cert)
	c := parseDER(l.t, der)
	if err := c.CheckSignatureFrom(parseDER(l.t, l.authority.CA.Issuer().Certificate())); err != nil {
		l.t.Fatalf("the test's own certificate: %v", err)
	}
	return c
}

// TestCredentialsInTheWrongPlace hands everything that proves something to
// every place that takes something else.
func TestCredentialsInTheWrongPlace(t *testing.T) {
	l := newLiars(t)
	l.enroll("api", newKey(t), agents.Change{Scopes: []string{"brevet:introspect"}})
	other, otherToken := l.enroll("other", newKey(t), agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://other.example"}})
	pending := l.add("later", agents.Change{})
	things := map[string]string{
		"an enrollment token":         pending,
		"an access token":             l.token,
		"an access token of another":  otherToken,
		"an assertion":                l.assertion("bot", l.register),
		"an assertion by a wrong key": l.assertion("bot", newKey(t)),
		"a certificate":               string(ca.PEM(l.cert.Raw)),
		"a jti":                       jti(t, l.token),
		"a serial number":             serial(l.cert),
		"a name":                      "bot",
		"an ID":                       l.file.TrustDomain.ID("bot"),
		"a request":                   csrPEM(t, newKey(t), nil),
		"nothing":                     "",
		"NUL":                         "\x00",
	}
	csr := csrPEM(t, newKey(t), nil)
	places := map[string]struct {
		fits string // what may be handed in here
		ask  func(string) reply
	}{
		"the token to enroll with": {"an enrollment token", func(s string) reply {
			return l.postJSON(l.agents, "/v1/enroll", map[string]string{"token": s, "csr": "none"}, nil)
		}},
		"the request to enroll with": {"a request", func(s string) reply {
			return l.postJSON(l.agents, "/v1/enroll", map[string]string{"token": otherToken, "csr": s}, nil)
		}},
		"the assertion of a client": {"an assertion", func(s string) reply {
			return l.postForm(oauth.TokenPath, wantToken(url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {s}}), nil)
		}},
		"the secret of a client": {"", func(s string) reply {
			return l.postForm(oauth.TokenPath, wantToken(url.Values{"client_id": {"bot"}, "client_secret": {s}}), nil)
		}},
		"the name of a client": {"", func(s string) reply {
			return l.postForm(oauth.TokenPath, wantToken(url.Values{"client_id": {s}}), nil)
		}},
		"the code of another grant": {"", func(s string) reply {
			return l.postForm(oauth.TokenPath, url.Values{"grant_type": {"authorization_code"}, "code": {s}}, l.cert)
		}},
		"the bearer token of a resource server": {"", func(s string) reply { return l.bearing(oauth.IntrospectPath, s, url.Values{"token": {l.token}}) }},
		"the bearer token of a renewal": {"", func(s string) reply {
			return l.bearing("/v1/certificates", s, nil, csr)
		}},
	}
	for place, p := range places {
		for what, thing := range things {
			held := len(l.holdings()["bot"])
			got := p.ask(thing)
			if what == p.fits && place == "the assertion of a client" {
				if got.status != http.StatusOK {
					t.Errorf("%s as %s: %d %s", what, place, got.status, got.body)
				}
				continue
			}
			if got.status != http.StatusUnauthorized && got.status != http.StatusBadRequest || strings.Contains(got.body, `"active"`) {
				t.Errorf("%s as %s: %d %s", what, place, got.status, got.body)
			}
			if len(l.holdings()["bot"]) != held {
				t.Errorf("%s as %s made a credential", what, place)
			}
			if thing != "" && len(thing) > 8 && strings.Contains(got.body, thing[len(thing)/3:]) {
				t.Errorf("%s as %s: the refusal repeats it: %s", what, place, got.body)
			}
		}
	}
	// To introspection, all but a good access token is no token; and whoever
	// revokes what is not theirs revokes nothing.
	for what, thing := range things {
		if good := what == "an access token" || what == "an access token of another"; thing != "" && l.active(thing) != good {
			t.Errorf("%s is introspected as active: %t", what, !good)
		}
		if what != "an access token of another" && thing != "" {
			if got := l.postForm(oauth.RevokePath, url.Values{"token": {thing}}, other); got.status != http.StatusOK || got.body != "" {
				t.Errorf("revoking %s of another agent: %d %s", what, got.status, got.body)
			}
		}
	}
	if !l.active(l.token) || !l.renewable(l.cert) {
		t.Error("another agent revoked what is bot's")
	}
	if got := l.postJSON(l.agents, "/v1/enroll", map[string]string{"token": pending, "csr": csr}, nil); got.status != http.StatusOK {
		t.Errorf("the enrollment token does not work any more: %d %s", got.status, got.body)
	}
}

// bearing posts with an access token in the header.
func (l *liars) bearing(path, token string, form url.Values, csr ...string) reply {
	body, kind := form.Encode(), "application/x-www-form-urlencoded"
	if csr != nil {
		body, kind = fmt.Sprintf(`{"csr":%q}`, csr[0]), "application/json"
	}
	return l.send(l.agents, path, kind, body, nil, http.Header{"Authorization": {"Bearer " + token}})
}

// TestTokensAreForTheirAudience: what was minted for one resource opens no
// other, neither here nor by what introspection says of it.
func TestTokensAreForTheirAudience(t *testing.T) {
	l := newLiars(t)
	api, _ := l.enroll("api", newKey(t), agents.Change{Scopes: []string{"brevet:introspect", "read"}, Audiences: []string{"https://a.example", "https://b.example"}})
	mint := func(form url.Values) string { return l.postForm(oauth.TokenPath, wantToken(form), api).token() }
	forA := mint(url.Values{"resource": {"https://a.example"}, "scope": {"read"}})
	forBoth := mint(url.Values{"resource": {"https://a.example", "https://b.example"}, "scope": {"read"}})
	own := mint(url.Values{"scope": {"brevet:introspect"}})
	if forA == "" || forBoth == "" || own == "" {
		t.Fatal("a token was not minted")
	}
	about := func(token string, want any) {
		t.Helper()
		got := l.postForm(oauth.IntrospectPath, url.Values{"token": {token}}, api)
		if fmt.Sprint(got.json["aud"]) != fmt.Sprint(want) || got.json["active"] != true {
			t.Errorf("introspection says %s, want the audience %v", got.body, want)
		}
	}
	about(forA, "https://a.example")
	about(forBoth, []string{"https://a.example", "https://b.example"})
	about(own, l.file.Advertise)
	ask := func(token string, cert *x509.Certificate) reply {
		return l.send(l.agents, oauth.IntrospectPath, "application/x-www-form-urlencoded", url.Values{"token": {forA}}.Encode(), cert, http.Header{"Authorization": {"Bearer " + token}})
	}
	for what, got := range map[string]reply{
		"for another resource":         ask(forA, api),
		"for several other resources":  ask(forBoth, api),
		"bound, without a certificate": ask(own, nil),
		"bound, by another's":          ask(own, l.cert),
		"another agent's":              ask(l.token, l.cert),
		"cut short":                    ask(own[:len(own)-1], api),
		"with its signature changed":   ask(own[:len(own)-4]+"AAAA", api),
		"with another's signature":     ask(own[:strings.LastIndex(own, ".")]+l.token[strings.LastIndex(l.token, "."):], api),
		"with padding":                 ask(own+"=", api),
	} {
		if got.status != http.StatusUnauthorized || strings.Contains(got.body, `"active"`) {
			t.Errorf("a bearer token %s: %d %s", what, got.status, got.body)
		}
	}
	if got := ask(own, api); got.status != http.StatusOK || got.json["active"] != true {
		t.Errorf("the right one: %d %s", got.status, got.body)
	}
	l.operate("PATCH", "/agents/api", agents.Change{Audiences: []string{"https://b.example"}})
	about(forBoth, "https://b.example")
	if l.active(forA) {
		t.Error("a token is active for a resource that was taken from its agent")
	}
}
