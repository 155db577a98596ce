package inspect

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"

	"github.com/brevet-ca/brevet/pqc/pkix/pkixtest"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func fingerprint(c *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(c.Raw)) }

func certificatesPEM(certs ...[]byte) (text []byte) {
	for _, der := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}

// The names of package pkixtest that these tests use most.
type (
	mode   = pkixtest.Mode
	signer = pkixtest.CA
)

const (
	classical   = pkixtest.Classical
	alternative = pkixtest.Alternative
	composite   = pkixtest.Composite
	pure        = pkixtest.Pure
)

// A hierarchy is a root and a CA under it.
type hierarchy struct {
	roots   []*signer
	issuing *signer
}

func newHierarchy(t testing.TB, m mode) hierarchy {
	root := pkixtest.NewCA(t, m, "root", nil)
	return hierarchy{[]*signer{root}, pkixtest.NewCA(t, m, "issuing", root)}
}
