package pqc

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRFC9881Examples runs appendix C: what has the seed form is read, the
// expanded form, both forms together and the bad keys are refused.
func TestRFC9881Examples(t *testing.T) {
	set, files := vectors(t, "rfc9881", "rfc9881/*.pem")
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			der := readPEM(t, file)
			level := strings.TrimPrefix(name, "bad-")[:len("ML-DSA-44")]
			seedFile := filepath.Join(filepath.Dir(file), level+"-seed.priv.pem")
			set.ran++
			switch {
			case strings.HasSuffix(name, "-seed.priv.pem"):
				testSeedKey(t, mustAlgorithm(t, level), der)
			case strings.HasSuffix(name, ".priv.pem"):
				if _, err := ParsePKCS8PrivateKey(der); err == nil {
					t.Error("accepted")
				} else if !strings.Contains(err.Error(), "expanded") {
					t.Errorf("the error %q does not say why", err)
				}
			case strings.HasSuffix(name, ".pub.pem"):
				testExampleSPKI(t, der, seedFile)
			case strings.HasSuffix(name, ".crt.pem"):
				testExampleCertificate(t, der, seedFile)
			default:
				t.Fatal("what is this?")
			}
		})
	}
}

func testSeedKey(t *testing.T, alg Algorithm, der []byte) {
	k, err := ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	if k.Algorithm() != alg {
		t.Errorf("got %v, want %v", k.Algorithm(), alg)
	}
	if again, err := MarshalPKCS8PrivateKey(k); err != nil || !bytes.Equal(again, der) {
		t.Errorf("PKCS #8 reads and writes differently (%v)", err)
	}
}

func testExampleSPKI(t *testing.T, der []byte, seedFile string) {
	pub, err := ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParsePKCS8PrivateKey(readPEM(t, seedFile))
	if err != nil {
		t.Fatal(err)
	}
	if !k.PublicKey().Equal(pub) || !bytes.Equal(MarshalPKIXPublicKey(k.PublicKey()), der) {
		t.Error("the public key is not the seed's")
	}
}

func testExampleCertificate(t *testing.T, der []byte, seedFile string) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	testExampleSPKI(t, cert.RawSubjectPublicKeyInfo, seedFile)
	pub, err := ParsePKIXPublicKey(cert.RawSubjectPublicKeyInfo)
	if err != nil {
		t.Fatal(err)
	}
	if !pub.Verify(cert.RawTBSCertificate, cert.Signature) {
		t.Error("the self-signed certificate is refused")
	}
}

func readPEM(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		t.Fatalf("%s: no PEM", file)
	}
	return block.Bytes
}
