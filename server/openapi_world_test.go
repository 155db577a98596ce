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
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
)

// A described world is an authority that has what the examples in openapi.json are about.
type described struct {
	*servertest.World
	t       *testing.T
	metrics string       // address
	admin   string       // URL of listen_admin
	socket  *http.Client // of operators
	reader  *servertest.Agent
	service *servertest.Agent // may introspect
	made    int
}

func newDescribed(t *testing.T) *described {
	t.Helper()
	named := func(c *server.InitConfig) { // passkeys need a domain name
		_, port, _ := strings.Cut(c.Listen, ":")
		c.Advertise = "https://localhost:" + port
	}
	w := &described{World: servertest.New(t, named), t: t, metrics: servertest.FreeAddress(t)}
	door := servertest.FreeAddress(t)
	w.admin = "https://" + door
	w.Configure("listen_metrics: " + w.metrics + "\nlisten_admin: " + door + "\noperators: {54321: {name: alice, role: operator}}\n")
	w.socket = overSocket(t, w.World)
	w.reader = w.Enroll("invoice-reader", holder())
	w.service = w.Enroll("invoices", agents.Change{Owner: new("you@example.com"), Scopes: []string{"brevet:introspect"}, Audiences: []string{w.URL}})
	return w
}

func holder() agents.Change {
	return agents.Change{Owner: new("you@example.com"), Scopes: []string{"invoices:read"}, Audiences: []string{"https://invoices.example"}}
}

// another enrolls one more agent, for an example that ends it.
func (w *described) another() *servertest.Agent {
	w.t.Helper()
	w.made++
	return w.Enroll("another-"+strings.Repeat("x", w.made), holder())
}

func (w *described) token(a *servertest.Agent) string {
	w.t.Helper()
	got := a.Token(url.Values{})
	if got.Status != http.StatusOK {
		w.t.Fatalf("%d %s", got.Status, got.Body)
	}
	return got.JSON["access_token"].(string)
}

// assertion returns one of an agent that is registered for it.
func (w *described) assertion() string {
	w.t.Helper()
	w.made++
	key := must1(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(w.t)
	der := must1(x509.MarshalPKIXPublicKey(&key.PublicKey))(w.t)
	change, name := holder(), "lasting-"+strings.Repeat("x", w.made)
	change.Keys = []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	w.Add(name, change)
	return w.assert(name, key, nil)
}

// assert returns an assertion, with more claims.
func (w *described) assert(name string, key *ecdsa.PrivateKey, more map[string]any) string {
	w.t.Helper()
	claims := map[string]any{}
	must1(0, json.Unmarshal(must1(json.Marshal(jose.Claims{Issuer: name, Subject: name, Audience: []string{w.URL}, ID: rand.Text(), IssuedAt: time.Now(), Expiry: time.Now().Add(time.Minute)}))(w.t), &claims))(w.t)
	maps.Copy(claims, more)
	signer := must1(jose.NewSigner(key, "", "JWT"))(w.t)
	return must1(signer.Sign(must1(json.Marshal(claims))(w.t)))(w.t)
}

// replacement returns an assertion that names a next key: that of a certificate request, or another one.
func (w *described) replacement(request string, right bool) string {
	w.t.Helper()
	block, _ := pem.Decode([]byte(request))
	csr := must1(x509.ParseCertificateRequest(block.Bytes))(w.t)
	sum := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	if !right {
		sum[0]++
	}
	w.made++
	key := must1(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(w.t)
	der := must1(x509.MarshalPKIXPublicKey(&key.PublicKey))(w.t)
	change, name := holder(), "replaced-"+strings.Repeat("x", w.made)
	change.Keys = []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	w.Add(name, change)
	return w.assert(name, key, map[string]any{"next_key": base64.RawURLEncoding.EncodeToString(sum[:])})
}

// ocspRequest returns the DER of one.
func (w *described) ocspRequest() []byte {
	w.t.Helper()
	issuer := must1(x509.ParseCertificate(w.reader.Cert.Certificate[1]))(w.t)
	return must1(xocsp.CreateRequest(w.reader.Leaf, issuer, nil))(w.t)
}

func (x *exchange) set(members map[string]any) {
	for name, v := range members {
		x.body.(map[string]any)[name] = v
	}
}

// preparations say what some examples need: what stands in place of placeholders, who asks,
// and what there must be before.
func (w *described) preparations() map[string]func(*exchange) {
	csr := func() string { return w.reader.CSR(nil) }
	other := func() string { return w.reader.CSR(&x509.CertificateRequest{DNSNames: []string{"other.example.org"}}) }
	as := func(a *servertest.Agent) func(*exchange) { return func(x *exchange) { x.client = a.HTTP } }
	asking := func(a func() *servertest.Agent, about func() string) func(*exchange) {
		return func(x *exchange) { x.client = a().HTTP; x.set(map[string]any{"token": about()}) }
	}
	reader, service := func() *servertest.Agent { return w.reader }, func() *servertest.Agent { return w.service }
	ofReader := func() string { return w.token(w.reader) }
	named := func(x *exchange) { x.inPath["name"] = w.another().Name }
	file := func(path string) func(*exchange) {
		return func(x *exchange) { x.inPath["file"] = path[strings.LastIndex(path, "/")+1:] }
	}
	all := map[string]func(*exchange){
		"enroll/enrolled": func(x *exchange) {
			x.set(map[string]any{"token": w.Add("newcomer", holder()).Enrollment.Token, "csr": csr()})
		},
		"enroll/malformed": func(x *exchange) { x.set(map[string]any{"token": w.Add("malformed", holder()).Enrollment.Token}) },
		"enroll/otherName": func(x *exchange) {
			x.set(map[string]any{"token": w.Add("other-name", holder()).Enrollment.Token, "csr": other()})
		},
		"renew/otherName": func(x *exchange) { x.client = w.reader.HTTP; x.set(map[string]any{"csr": other()}) },
		"enroll/used":     func(x *exchange) { x.set(map[string]any{"csr": csr()}) },
		"renew/renewed":   func(x *exchange) { x.client = w.reader.HTTP; x.set(map[string]any{"csr": csr()}) },
		"renew/tooLong":   func(x *exchange) { x.client = w.reader.HTTP; x.set(map[string]any{"csr": csr()}) },
		"renew/stranger":  func(x *exchange) { x.set(map[string]any{"csr": csr()}) },
		"renew/byKey":     func(x *exchange) { x.set(map[string]any{"csr": csr(), "client_assertion": w.assertion()}) },
		"replaceKey/replaced": func(x *exchange) {
			c := csr()
			x.set(map[string]any{"csr": c, "client_assertion": w.replacement(c, true)})
		},
		"replaceKey/otherKey": func(x *exchange) {
			c := csr()
			x.set(map[string]any{"csr": c, "client_assertion": w.replacement(c, false)})
		},
		"replaceKey/stranger": func(x *exchange) { x.set(map[string]any{"csr": csr()}) },

		"token/withCertificate": as(w.reader), "token/scope": as(w.reader), "token/target": as(w.reader), "token/grant": as(w.reader),
		"token/withAssertion": func(x *exchange) { x.set(map[string]any{"client_assertion": w.assertion()}) },
		"introspect/active":   asking(service, ofReader), "introspect/unknown": as(w.service), "introspect/missing": as(w.service), "introspect/scope": asking(reader, ofReader),
		"introspect/byBearer": func(x *exchange) {
			x.client = w.service.HTTP // the token is bound to its certificate
			x.header.Set("Authorization", "Bearer "+w.token(w.service))
			x.set(map[string]any{"token": ofReader()})
		},
		"revoke/revoked": asking(reader, ofReader), "revoke/missing": as(w.reader),

		"crl/list": file(ca.CRLPath(w.Issuer)), "issuer/certificate": file(ca.CertificatePath(w.Issuer)),
		"ocsp/good":      func(x *exchange) { x.body = string(w.ocspRequest()) },
		"ocspByGet/good": func(x *exchange) { x.inPath["request"] = base64.StdEncoding.EncodeToString(w.ocspRequest()) },

		"suspendAgent/ended": named, "decommissionAgent/ended": named, "reenrollAgent/invited": named,
	}
	for name, prepare := range w.operatorPreparations() {
		all[name] = prepare
	}
	return all
}
