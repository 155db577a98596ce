package acme

import (
	"bytes"
	"crypto/x509"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

// TestPostQuantumKeys orders certificates for keys that crypto/x509 does not
// know: the request must be signed by all of the key.
func TestPostQuantumKeys(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{DNS: []string{"a.example"}})
	for _, alg := range []pqc.Algorithm{pqc.MLDSA44, pqc.MLDSA65Ed25519SHA512} {
		key := must(pqc.GenerateKey(alg))(t)
		signer := must(pkix.NewSigner(key))(t)
		der := must(pkix.CreateCSR(&x509.CertificateRequest{DNSNames: []string{"a.example"}}, signer))(t)
		order := c.order("a.example")
		broken := bytes.Clone(der)
		broken[len(broken)-1] ^= 1
		c.post(order+"/finalize", `{"csr":"`+b64(broken)+`"}`).is(t, alg.String()+" with a broken half", "badCSR")
		done := c.post(order+"/finalize", `{"csr":"`+b64(der)+`"}`)
		done.is(t, alg.String(), "")
		leaf := must(pkix.NewCertificate(c.certificate(done)))(t)
		if got := leaf.PublicKey(); got == nil || !got.Equal(key.Public()) {
			t.Errorf("%s: the certificate has another key", alg)
		}
	}
}
