package acme_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	acmezproto "github.com/mholt/acmez/v3/acme"
	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/rawacme"
)

const acmeDirectory = "/acme/directory"

// An acmeAgent is a registered agent with the key that binds its account.
type acmeAgent struct {
	t    *testing.T
	w    *servertest.World
	name string
	kid  string
	mac  []byte
}

// addACME registers an agent that will come by ACME.
func addACME(t *testing.T, w *servertest.World, name string, c agents.Change) *acmeAgent {
	t.Helper()
	return (&acmeAgent{t: t, w: w, name: name}).bindable(w.Add(name, c))
}

// bindable takes the binding from what the operator was told.
func (a *acmeAgent) bindable(in api.Invited) *acmeAgent {
	a.t.Helper()
	if in.ACME.Directory != a.w.URL+acmeDirectory {
		a.t.Fatalf("the operator was told of the directory %q", in.ACME.Directory)
	}
	var err error
	a.kid = in.ACME.KeyID
	if a.mac, err = base64.RawURLEncoding.DecodeString(in.ACME.MACKey); err != nil || a.kid == "" || len(a.mac) < 16 {
		a.t.Fatalf("%d bytes of EAB key and the key ID %q: %v", len(a.mac), a.kid, err)
	}
	return a
}

// own is the name that every agent has.
func (a *acmeAgent) own() string { return a.name + "." + servertest.TrustDomain }

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// xClient returns a client of golang.org/x/crypto/acme for a key. It gives up
// where the library would try without end.
func (a *acmeAgent) xClient(key crypto.Signer) *acme.Client {
	return &acme.Client{Key: key, DirectoryURL: a.w.URL + acmeDirectory, HTTPClient: a.w.Client(), RetryBackoff: fewTimes}
}

func fewTimes(n int, _ *http.Request, r *http.Response) time.Duration {
	if n > 3 || r != nil && r.StatusCode >= 500 {
		return -1
	}
	return time.Millisecond
}

func (a *acmeAgent) register(c *acme.Client) (*acme.Account, error) {
	return c.Register(a.t.Context(), &acme.Account{ExternalAccountBinding: &acme.ExternalAccountBinding{KID: a.kid, Key: a.mac}}, acme.AcceptTOS)
}

// account returns a client that has an account.
func (a *acmeAgent) account() *acme.Client {
	a.t.Helper()
	c := a.xClient(newKey(a.t))
	if _, err := a.register(c); err != nil {
		a.t.Fatal("registering: ", err)
	}
	return c
}

// acmeCSR asks for names and addresses with a key.
func acmeCSR(t testing.TB, key crypto.Signer, ids []acme.AuthzID) []byte {
	t.Helper()
	template := new(x509.CertificateRequest)
	for _, id := range ids {
		if id.Type == "ip" {
			template.IPAddresses = append(template.IPAddresses, parseIP(id.Value))
		} else {
			template.DNSNames = append(template.DNSNames, id.Value)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// finish finalizes an order that is ready, and checks what it brings.
func (a *acmeAgent) finish(c *acme.Client, o *acme.Order) tls.Certificate {
	a.t.Helper()
	if o.Status != acme.StatusReady {
		a.t.Fatalf("the order is %s", o.Status)
	}
	key := newKey(a.t)
	chain, _, err := c.CreateOrderCert(a.t.Context(), o.FinalizeURL, acmeCSR(a.t, key, o.Identifiers), true)
	if err != nil {
		a.t.Fatal("finalizing: ", err)
	}
	return a.checkChain(chain, key, o.Identifiers)
}

// checkChain checks that a certificate is what ACME and this authority
// promise: it verifies, and has the names ordered (RFC 8555, section 7.4), the SPIFFE
// ID of the agent, and no other.
func (a *acmeAgent) checkChain(chain [][]byte, key crypto.Signer, ids []acme.AuthzID) tls.Certificate {
	a.t.Helper()
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		a.t.Fatal(err)
	}
	between := x509.NewCertPool()
	for _, der := range chain[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			a.t.Fatal(err)
		}
		between.AddCert(c)
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: a.w.Roots, Intermediates: between, CurrentTime: a.w.Clock.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		a.t.Fatal("the chain does not verify: ", err)
	}
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != "spiffe://"+servertest.TrustDomain+"/agent/"+a.name {
		a.t.Errorf("the certificate has the URIs %v", leaf.URIs)
	}
	// Clients take it for the name to renew.
	cn := ""
	if i := slices.IndexFunc(ids, func(id acme.AuthzID) bool { return id.Type == "dns" }); i >= 0 {
		cn = ids[i].Value
	}
	if !strings.EqualFold(leaf.Subject.CommonName, cn) {
		a.t.Errorf("the certificate has the common name %s, want the first DNS name ordered, %s", leaf.Subject.CommonName, cn)
	}
	want := map[string]bool{}
	for _, id := range ids {
		want[id.Value] = true
	}
	for _, name := range append(leaf.DNSNames, ipStrings(leaf)...) {
		if !want[name] {
			a.t.Errorf("the certificate has the name %s, of %v ordered", name, ids)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		a.t.Errorf("the certificate lacks %v", want)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}
}

// idsOf returns the identifiers of names and addresses.
func idsOf(names []string) (ids []acme.AuthzID) {
	for _, name := range names {
		if net.ParseIP(name) != nil {
			ids = append(ids, acme.IPIDs(name)...)
		} else {
			ids = append(ids, acme.DomainIDs(name)...)
		}
	}
	return ids
}

// obtain orders and gets a certificate for names that need no challenge.
func (a *acmeAgent) obtain(c *acme.Client, names []string, options ...acme.OrderOption) tls.Certificate {
	a.t.Helper()
	o, err := c.AuthorizeOrder(a.t.Context(), acme.DomainIDs(names...), options...)
	if err != nil {
		a.t.Fatal("ordering: ", err)
	}
	return a.finish(c, o)
}

const problemPrefix = "urn:ietf:params:acme:error:"

// problemType returns the type of the ACME problem that a library's error is.
func problemType(err error) string {
	var z acmezproto.Problem
	if errors.As(err, &z) {
		return strings.TrimPrefix(z.Type, problemPrefix)
	}
	return rawacme.ProblemType(err)
}

// wantProblem checks that something was refused with a problem type.
func wantProblem(t testing.TB, what string, err error, want string) {
	t.Helper()
	if got := problemType(err); got != want {
		t.Errorf("%s: got problem %q (%v), want %s", what, got, err, want)
	}
}

// events returns how many entries the audit log has of an action and decision
// about the agent.
func (a *acmeAgent) events(action, decision string) int {
	a.t.Helper()
	n := 0
	for _, e := range a.w.Events() {
		if string(e.Action) == action && e.Subject == a.name && string(e.Decision) == decision {
			n++
		}
	}
	return n
}
