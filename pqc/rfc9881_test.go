package pqc

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRFC9881Examples runs appendix C: what has the seed form or both forms is read,
// the expanded form alone and the bad keys are refused.
func TestRFC9881Examples(t *testing.T) {
	set, files := vectors(t, "rfc9881", rfc9881Files)
	parts := regexp.MustCompile(`^(bad-)?(ML-DSA-[0-9]+)(-[a-z0-9]+)?\.(priv|pub|crt)\.pem$`)
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			part := parts.FindStringSubmatch(name)
			if part == nil {
				set.passOver(1, "no example of the RFC: "+name)
				return
			}
			alg, ok := set.algorithm(t, part[2], 1)
			if !ok {
				return
			}
			if part[4] == "priv" && part[1] == "" && !slices.Contains([]string{"-seed", "-both", "-expanded"}, part[3]) {
				set.passOver(1, "a private key in a form that its name does not tell: "+name)
				return
			}
			set.ran++
			der := readPEM(t, file)
			seedFile := filepath.Join(filepath.Dir(file), part[2]+"-seed.priv.pem")
			switch bad, form, kind := part[1] != "", part[3], part[4]; {
			case kind == "priv" && !bad && form == "-both":
				testBothForms(t, der, readPEM(t, seedFile))
			case kind == "priv" && (bad || form != "-seed"):
				if _, err := ParsePKCS8PrivateKey(der); err == nil {
					t.Error("accepted")
				} else if !bad && !strings.Contains(err.Error(), "expanded") {
					t.Errorf("the error %q does not say why", err)
				}
			case kind == "priv":
				testSeedKey(t, alg, der)
			case kind == "pub":
				testExampleSPKI(t, der, seedFile)
			case kind == "crt":
				testExampleCertificate(t, der, seedFile)
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

// testBothForms: the key is that of the seed, and is written as the seed alone.
func testBothForms(t *testing.T, der, seed []byte) {
	k, err := ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := MarshalPKCS8PrivateKey(k); err != nil || !bytes.Equal(again, seed) {
		t.Errorf("it is another key than the seed alone (%v)", err)
	}
}

func testExampleSPKI(t *testing.T, der []byte, seedFile string) {
	pub, err := ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(seedFile); err != nil {
		t.Logf("not compared with its seed: %v", err)
		return
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
