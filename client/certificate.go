package client

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// An asking is the body of a request for a certificate. A request to enroll holds the
// token; only a request to renew may hold a TTL.
type asking struct {
	Token   string `json:"token,omitempty"`
	For     string `json:"for,omitempty"` // whom the token is for; "" means an agent
	CSR     string `json:"csr"`
	TTL     string `json:"ttl,omitempty"`
	Profile string `json:"profile,omitempty"`

	Assertion string `json:"client_assertion,omitempty"` // by a lasting key, in place of a client certificate
}

// certify asks for a certificate at path, checks the answer and returns the new pair, and
// for how long it may renew after its end, or nil if the authority does not say.
func (e endpoint) certify(ctx context.Context, c *tls.Config, t *trust, path string, a asking, key crypto.Signer) (*pair, *seconds, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return nil, nil, err
	}
	answer, err := e.as(t).post(ctx, c, path, "application/json", body)
	if err != nil {
		return nil, nil, err
	}
	got, err := parseIssued(answer)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the answer of %s: %w", e.url, err)
	}
	p, err := got.check(key, t, time.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("checking the certificate from %s: %w", e.url, err)
	}
	return p, got.grace(), nil
}

// newRequest returns a PKCS #10 request (RFC 2986) in PEM. Its subject is
// empty, because the authority knows which agent asks.
func newRequest(key crypto.Signer, names []string) (string, error) {
	var t x509.CertificateRequest
	for _, n := range names {
		if ip, err := netip.ParseAddr(n); err == nil && ip.Zone() == "" {
			t.IPAddresses = append(t.IPAddresses, ip.AsSlice())
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &t, key)
	if err != nil {
		return "", fmt.Errorf("making the certificate request: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// names returns the DNS names and addresses in a certificate, to ask for them again.
func names(c *x509.Certificate) []string {
	all := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}

// issued is the authority's answer.
type issued struct {
	chain      []*x509.Certificate // from the agent's up
	notAfter   time.Time
	renewUntil time.Time // zero if the authority does not say
	roots      []string  // fingerprints of those that are published
	server     string    // where the authority is, if it has moved

	registered []registeredKey // nil if the authority does not say
}

// seconds is a time span in client.json.
type seconds int64

// grace returns for how long after its end the certificate may renew.
func (i *issued) grace() *seconds {
	if i.renewUntil.Before(i.notAfter) {
		return nil
	}
	return new(seconds(i.renewUntil.Sub(i.notAfter) / time.Second))
}

// parseIssued reads an answer.
func parseIssued(body []byte) (*issued, error) {
	var doc struct {
		Certificate string    `json:"certificate"`
		Chain       string    `json:"chain"`
		NotAfter    time.Time `json:"not_after"`
		RenewUntil  time.Time `json:"renew_until"`
		Roots       []string  `json:"roots"`

		Registered []registeredKey `json:"registered_keys"`
		Server     string          `json:"server"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	leaf, err := parseCertificatesPEM([]byte(doc.Certificate))
	if err == nil && len(leaf) > 1 {
		err = errors.New("there is more than one")
	}
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if strings.TrimSpace(doc.Chain) == "" {
		return &issued{leaf, doc.NotAfter, doc.RenewUntil, doc.Roots, doc.Server, doc.Registered}, nil // the root issues itself
	}
	above, err := parseCertificatesPEM([]byte(doc.Chain))
	if err != nil {
		return nil, fmt.Errorf("chain: %w", err)
	}
	return &issued{append(leaf, above...), doc.NotAfter, doc.RenewUntil, doc.Roots, doc.Server, doc.Registered}, nil
}

// operatorPath stands before an operator's name in a SPIFFE ID.
const operatorPath = "/operator/"

// check makes sure that the certificate is for our key, was issued under a
// pinned root, by hybrid signatures where they are required, can be used now and
// names one agent or operator.
func (i *issued) check(key crypto.Signer, t *trust, now time.Time) (*pair, error) {
	leaf := i.chain[0]
	p, err := newPair(key, i.chain)
	if errors.Is(err, errNotItsKey) {
		return nil, errors.New("it is for another key than ours")
	}
	if err != nil {
		return nil, err
	}
	if err := t.verify(i.chain, "", now, x509.ExtKeyUsageClientAuth); err != nil {
		return nil, err
	}
	if !i.notAfter.Equal(leaf.NotAfter) {
		return nil, fmt.Errorf("it ends at %s and the answer says %s", leaf.NotAfter.Format(time.RFC3339), i.notAfter.Format(time.RFC3339))
	}
	name, id := leaf.Subject.CommonName, spiffeID(leaf)
	if leaf.IsCA || name == "" || len(leaf.URIs) != 1 || !strings.HasSuffix(id, "/agent/"+name) && !strings.HasSuffix(id, operatorPath+name) {
		return nil, errors.New("it does not name an agent or an operator")
	}
	p.roots, p.server, p.registered = i.roots, i.server, i.registered
	return p, nil
}
