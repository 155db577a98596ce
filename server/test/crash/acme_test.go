package crash_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/rawacme"
)

// A crashAccount is an ACME account of an agent, and the order that its client
// is at: one that a crash interrupts, the client goes on with.
type crashAccount struct {
	rawacme.Client
	agent   *crashAgent
	binding api.ACMEKey
	at      string // URL of the order; empty: none
	issued  bool   // the order was answered to have a certificate
}

type orderAnswer struct{ Status, Finalize, Certificate string }

// order gets a certificate by ACME.
func (l *load) order(a *crashAgent) {
	at := l.begin(a)
	c := l.account(at)
	if c == nil {
		return
	}
	var o orderAnswer
	url, payload := c.at, any(nil) // look at the order that is open
	if c.at == "" {
		url, payload = l.url+"/acme/new-order", map[string]any{"identifiers": []map[string]string{{"type": "dns", "value": a.name + "." + servertest.TrustDomain}}}
	}
	got, err := c.Post(url, payload)
	if l.unanswered(at, "order", got, err) || l.garbled("order", json.Unmarshal([]byte(got.Body), &o)) {
		return
	}
	l.saw("credential")
	if c.at == "" {
		c.at = got.Header.Get("Location")
	}
	if c.issued && o.Status != acme.StatusValid {
		l.fail("order %s of %s is %s, and was valid", c.at, a.name, o.Status)
	}
	if o.Status == acme.StatusReady {
		csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{a.name + "." + servertest.TrustDomain}}, a.key)
		if l.lost("making a request", err) {
			return
		}
		got, err = c.Post(o.Finalize, map[string]any{"csr": base64.RawURLEncoding.EncodeToString(csr)})
		if l.unanswered(at, "finalize", got, err) || l.garbled("order", json.Unmarshal([]byte(got.Body), &o)) {
			return
		}
		c.issued = o.Status == acme.StatusValid
		l.saw("credential")
	}
	if o.Status != acme.StatusValid {
		l.fail("order %s of %s is %s", c.at, a.name, o.Status)
		return
	}
	got, err = c.Post(o.Certificate, nil)
	if l.unanswered(at, "certificate", got, err) {
		return
	}
	l.saw("credential")
	cert, err := a.parseChain([]byte(got.Body))
	if l.garbled("certificate", err) {
		return
	}
	c.at, c.issued = "", false
	l.receive(at, cert)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count["acme certificate"]++
}

// account returns the agent's account, or opens one. If that is not answered,
// the next attempt has the same key and binding, and finds the account or opens
// it.
func (l *load) account(at attempt) *crashAccount {
	a := at.agent
	l.mu.Lock()
	c, binding := a.account, a.binding
	l.mu.Unlock()
	if c != nil || binding.KeyID == "" {
		return c
	}
	if c = a.opening; c == nil || c.binding.KeyID != binding.KeyID {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if l.lost("making a key", err) {
			return nil
		}
		c = &crashAccount{Client: rawacme.Client{HTTP: a.http, URL: l.url, Key: key}, agent: a, binding: binding}
		a.opening = c
	}
	bound, err := c.bind()
	if l.lost("binding an account", err) {
		return nil
	}
	got, err := c.Post(l.url+"/acme/new-account", map[string]any{"termsOfServiceAgreed": true, "externalAccountBinding": bound})
	if l.unanswered(at, "account", got, err) {
		return nil
	}
	l.saw("credential")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count["account"]++
	if !at.undisturbed() {
		return nil // it may have ended
	}
	c.KID = got.Header.Get("Location")
	a.account, a.binding, a.opening = c, api.ACMEKey{}, nil
	return c
}

// bind signs the account's key by the key that the operator was told (RFC 8555,
// section 7.3.4).
func (c *crashAccount) bind() (json.RawMessage, error) {
	mac, err := base64.RawURLEncoding.DecodeString(c.binding.MACKey)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: mac},
		&jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{"kid": c.binding.KeyID, "url": c.URL + "/acme/new-account"}})
	if err != nil {
		return nil, err
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: c.Key.Public()})
	if err != nil {
		return nil, err
	}
	signed, err := signer.Sign(jwk)
	if err != nil {
		return nil, err
	}
	return json.RawMessage(signed.FullSerialize()), nil
}

// unanswered reports whether an agent did not get what it asked for by ACME:
// because of a crash, or of what an operator did.
func (l *load) unanswered(at attempt, what string, got servertest.Answer, err error) bool {
	var refusal *acme.Error
	if !errors.As(err, &refusal) {
		return l.lost(what, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count["refusal"]++
	switch {
	case l.over():
	case at.undisturbed() || rawacme.ProblemType(err) != "unauthorized":
		l.fail("ACME %s of %s, which nobody touched: %d %s", what, at.agent.name, got.Status, got.Body)
	}
	return true
}

// parseChain reads the answer of the download.
func (a *crashAgent) parseChain(text []byte) (*credential, error) {
	leaf, rest := pem.Decode(text)
	if leaf == nil {
		return nil, errors.New("no certificate in the chain")
	}
	issuer, _ := pem.Decode(rest)
	if issuer == nil {
		return nil, errors.New("no issuer in the chain")
	}
	parsed, err := x509.ParseCertificate(leaf.Bytes)
	if err != nil {
		return nil, err
	}
	c := &credential{hash: sha256.Sum256(leaf.Bytes)}
	parsed.SerialNumber.FillBytes(c.id[:])
	c.cert = tls.Certificate{Certificate: [][]byte{leaf.Bytes, issuer.Bytes}, PrivateKey: a.key, Leaf: parsed}
	return c, nil
}

// checkEnded tries an account whose end was answered.
func (l *load) checkEnded(c *crashAccount) {
	l.t.Helper()
	again := c.Client // its agent may have a client that uses the other
	again.HTTP = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: l.roots}, DisableKeepAlives: true}, Timeout: servertest.Patience}
	got, err := again.Post(l.url+"/acme/new-order", map[string]any{"identifiers": []map[string]string{{"type": "dns", "value": c.agent.name + "." + servertest.TrustDomain}}})
	// The second once an external account binding key of its agent waits for a new account.
	if p := rawacme.ProblemType(err); p != "unauthorized" && p != "accountDoesNotExist" {
		l.fail("an order of an account of %s that has ended: %d %s, %v", c.agent.name, got.Status, got.Body, err)
	}
}
