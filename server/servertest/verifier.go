package servertest

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/pqc/pkix"
)

// A Verifier checks certificates as a relying party does that knows hybrid
// signatures.
type Verifier struct {
	t     *testing.T
	w     *World
	Roots []*pkix.Certificate // the one above the agents' issuer first
}

// NewVerifier makes one that knows the roots that the authority serves.
func NewVerifier(t *testing.T, w *World) *Verifier {
	t.Helper()
	v := &Verifier{t: t, w: w}
	for block, rest := pem.Decode([]byte(w.Get(w.Client(), "/roots.pem"))); block != nil; block, rest = pem.Decode(rest) {
		c, err := pkix.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.CheckSelfSigned(); err != nil {
			t.Error(err)
		}
		v.Roots = append(v.Roots, c)
	}
	if Fingerprint(v.Roots[0].X509) != w.Root {
		t.Errorf("the first root has another fingerprint than %s", w.Root)
	}
	if st, err := w.Admin.Status(t.Context()); err != nil || st.RootFingerprint[0] != w.Root || len(st.RootFingerprint) != len(v.Roots) {
		t.Errorf("status: roots %v, %v; want %s first", st.RootFingerprint, err, w.Root)
	}
	return v
}

// Verify checks the chain of a leaf up to the agents' root with its CRL,
// fetched again, and returns what it rests on.
func (v *Verifier) Verify(leaf *x509.Certificate, a *Agent, hybrid bool) (pkix.Protection, error) {
	v.t.Helper()
	o := &pkix.Options{Roots: v.Roots[:1], Time: v.w.Clock.Now(), Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, RequireHybrid: hybrid}
	for _, der := range a.Cert.Certificate[1:] {
		above, err := pkix.ParseCertificate(der)
		if err != nil {
			return 0, err
		}
		o.Intermediates = append(o.Intermediates, above)
		if got := Fetch(v.t, leaf.IssuingCertificateURL[0]); !bytes.Equal(got, der) {
			v.t.Error("another certificate is where AIA points to")
		}
	}
	list, err := pkix.ParseCRL(Fetch(v.t, leaf.CRLDistributionPoints[0]))
	if err != nil {
		return 0, err
	}
	o.CRLs = []*pkix.CRL{list}
	c, err := pkix.NewCertificate(leaf)
	if err != nil {
		return 0, err
	}
	answer, rests := AskOCSP(v.t, leaf, o.Intermediates[0])
	path, err := c.Verify(o)
	if revoked := errors.Is(err, pkix.ErrRevoked); revoked != (answer.Status == xocsp.Revoked) || !revoked && answer.Status != xocsp.Good {
		v.t.Errorf("OCSP says %d, the CRL %v", answer.Status, err)
	}
	// It is signed as the certificate is, without an alternative signature.
	if want, err := c.CheckSignatureFrom(o.Intermediates[0]); err != nil || rests != want && !(want == pkix.Alternative && rests == pkix.Classical) {
		v.t.Errorf("OCSP rests on %v, the certificate on %v, %v", rests, want, err)
	}
	if err != nil {
		return 0, err
	}
	return path.Protection(), nil
}

// AskOCSP asks where the certificate says, with a client that is not ours, and
// checks the signature: it must be of the key of the issuer. It returns what
// that rests on.
func AskOCSP(t *testing.T, cert *x509.Certificate, issuer *pkix.Certificate) (*xocsp.Response, pkix.Protection) {
	t.Helper()
	request, err := xocsp.CreateRequest(cert, issuer.X509, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(cert.OCSPServer[0], "application/ocsp-request", bytes.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	der, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := xocsp.ParseResponseForCert(der, cert, nil)
	if err != nil {
		t.Fatalf("OCSP: %s %x: %v", r.Status, der, err)
	}
	var outer struct {
		Status asn1.Enumerated
		Bytes  struct {
			Type  asn1.ObjectIdentifier
			Basic []byte
		} `asn1:"explicit,tag:0"`
	}
	var basic struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(outer.Bytes.Basic, &basic); err != nil {
		t.Fatal(err)
	}
	p, err := issuer.CheckSignature(basic.Algorithm.FullBytes, basic.TBS.FullBytes, basic.Signature.Bytes)
	if err != nil {
		t.Errorf("OCSP: %v", err)
	}
	return answer, p
}

// Fingerprint returns the SHA-256 of a certificate.
func Fingerprint(c *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(c.Raw)) }
