package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"time"
)

// A pair is a certificate with its chain, and the key that belongs to it. It
// does not change.
type pair struct {
	tls.Certificate                 // Leaf is set
	renewAt         time.Time       // when two thirds of its life are over, or a little before
	replaced        chan struct{}   // closed when another pair takes its place
	registered      []registeredKey // keys of the agent, as the authority said with it; nil if it did not
	roots           []string        // fingerprints of the roots that the authority published with it, if known
	server          string          // where the authority is, if the answer says that it has moved
}

var errNotItsKey = errors.New("the key is not the certificate's")

// newPair joins a key and a chain that begins with its certificate.
func newPair(key crypto.Signer, chain []*x509.Certificate) (*pair, error) {
	leaf := chain[0]
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return nil, errNotItsKey
	}
	p := &pair{replaced: make(chan struct{})}
	p.PrivateKey, p.Leaf = key, leaf
	for _, c := range chain {
		p.Certificate.Certificate = append(p.Certificate.Certificate, c.Raw)
	}
	// Agents that enrolled together do not renew together: each comes up to a
	// twelfth of the life early.
	life := max(0, leaf.NotAfter.Sub(leaf.NotBefore))
	p.renewAt = leaf.NotAfter.Add(-life/3 - time.Duration(mathrand.Int64N(int64(life/12)+1)))
	return p, nil
}

// agent returns the name in the certificate.
func (p *pair) agent() string { return p.Leaf.Subject.CommonName }

func (p *pair) isOperator() bool {
	return strings.HasSuffix(spiffeID(p.Leaf), operatorPath+p.agent())
}

// reenroll is the [ErrReenroll] of whoever the certificate is for.
func (p *pair) reenroll() error {
	if p.isOperator() {
		return operatorReenroll{p.agent()}
	}
	return ErrReenroll
}

// keyPEM returns a private key as PKCS #8 (RFC 5958).
func keyPEM(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseKeyPEM(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("want one PEM block \"PRIVATE KEY\" (PKCS #8)")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T does not sign", key)
	}
	return signer, nil
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// spiffeID returns the agent's identifier in a certificate, or "".
func spiffeID(c *x509.Certificate) string {
	for _, u := range c.URIs {
		if u.Scheme == "spiffe" {
			return u.String()
		}
	}
	return ""
}
