package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix"
)

// A trust says what an identity trusts: the pinned roots, and whether every signature
// must be hybrid. It does not change.
type trust struct {
	roots   []*pkix.Certificate // in the order in which they came to be trusted
	vouched vouchers            // the roots that are not pinned
	hybrid  bool
}

func newTrust(roots []*x509.Certificate, hybrid bool) (*trust, error) {
	t := &trust{vouched: vouchers{}, hybrid: hybrid}
	for _, c := range roots {
		root, err := pkix.NewCertificate(c)
		if err != nil {
			return nil, fmt.Errorf("the root with the fingerprint %s: %w", fingerprint(c), err)
		}
		t.roots = append(t.roots, root)
	}
	return t, nil
}

// pool returns the roots for crypto/tls. A composite or ML-DSA root among them
// vouches for nothing there: crypto/x509 cannot check what it has signed.
func (t *trust) pool() *x509.CertPool {
	p := x509.NewCertPool()
	for _, root := range t.roots {
		p.AddCert(root.X509)
	}
	return p
}

// reachable reports whether a root can vouch for HTTPS.
func (t *trust) reachable() bool {
	return slices.ContainsFunc(t.roots, func(root *pkix.Certificate) bool { return root.PublicKey() == nil })
}

// config returns a configuration for connections to the authority. The standard
// library always checks the chain, the name and the handshake. It does not know
// hybrid signatures, so these are checked afterwards.
func (t *trust) config() *tls.Config {
	c := &tls.Config{RootCAs: t.pool(), MinVersion: tls.VersionTLS12}
	if t.hybrid {
		c.VerifyConnection = func(s tls.ConnectionState) error {
			err := t.verifyPeer(s, s.ServerName, x509.ExtKeyUsageServerAuth)
			if refused, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && errors.Is(err, pkix.ErrNotHybrid) {
				refused.Err = t.lacking(refused.Err)
			}
			return err
		}
	}
	return c
}

// verifyPeer checks the certificate of the other side of a connection, which
// it must have shown.
func (t *trust) verifyPeer(s tls.ConnectionState, host string, usages ...x509.ExtKeyUsage) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the peer shows no certificate")
	}
	if err := t.verify(s.PeerCertificates, host, time.Now(), usages...); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
	return nil
}

// checkIssuer checks that a pinned root vouches for the authority's issuer, and so
// for the agent's certificate. It does so before the token is used up.
func (t *trust) checkIssuer(ctx context.Context, e endpoint) error {
	text, err := e.get(ctx, t.config(), "/chain.pem")
	if err != nil {
		return err
	}
	chain, err := parseCertificatesPEM(text)
	if err != nil {
		return fmt.Errorf("%s/chain.pem: %w", e.url, err)
	}
	if err := t.verifyIssuer(chain, time.Now()); err != nil {
		return fmt.Errorf("no pinned root vouches for the issuer of agents' certificates: %w; give the fingerprints of all roots that brevet init and brevet status print", err)
	}
	return nil
}

// verifyIssuer checks that one of the certificates for the issuer's key leads to a pinned
// root: there is one by each root.
func (t *trust) verifyIssuer(chain []*x509.Certificate, now time.Time) (err error) {
	for i, c := range chain {
		if !bytes.Equal(c.RawSubjectPublicKeyInfo, chain[0].RawSubjectPublicKeyInfo) {
			continue
		}
		err2 := t.verify(slices.Concat(chain[i:], chain[:i]), "", now, x509.ExtKeyUsageAny)
		if err2 == nil {
			return nil
		}
		err = cmp.Or(err, err2)
	}
	return err
}

// verify checks that the first certificate of chain leads to a pinned root. It
// must be for the host, if one is given, and for one of the usages.
func (t *trust) verify(chain []*x509.Certificate, host string, now time.Time, usages ...x509.ExtKeyUsage) error {
	var certs []*pkix.Certificate
	for _, c := range chain {
		p, err := pkix.NewCertificate(c)
		if err != nil {
			return err
		}
		certs = append(certs, p)
	}
	_, err := certs[0].Verify(&pkix.Options{
		Roots: t.roots, Intermediates: certs[1:], Time: now, Host: host, Usages: usages, RequireHybrid: t.hybrid,
	})
	for _, c := range chain {
		if err != nil && (now.Before(c.NotBefore) || now.After(c.NotAfter)) {
			return fmt.Errorf("%w: is the clock of this machine right?", err)
		}
	}
	return err
}

// lacking adds to an error about the authority's HTTPS why its chain may not be
// hybrid, and what to do.
func (t *trust) lacking(err error) error {
	signed, bound := false, false
	for _, root := range t.roots {
		signed = signed || root.PublicKey() != nil
		bound = bound || root.AlternativeKey() != nil
	}
	switch {
	case bound:
		return fmt.Errorf("%w: the authority adds an alternative signature to all that it issues, so somebody may have taken it off; hybrid signatures are required here", err)
	case signed:
		return fmt.Errorf("%w: TLS cannot verify composite or ML-DSA signatures, so such an authority is reached by HTTPS over a certificate from its classical root, and hybrid signatures are required here: "+
			"enroll without that requirement, or with an authority that adds an alternative signature to a classical one (brevet init --algorithm ecdsa-p256+mldsa65)", err)
	}
	return fmt.Errorf("%w: the authority is classical, and hybrid signatures are required here: "+
		"enroll without that requirement, or with an authority whose signatures are hybrid (brevet init --algorithm ecdsa-p256+mldsa65)", err)
}
