package pqc

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
)

type compositeFile struct {
	M, Ctx []byte
	Tests  []compositeCase
}

type compositeCase struct {
	TcID         string
	PK           []byte
	X5C          []byte
	SK           []byte
	PKCS8        []byte `json:"sk_pkcs8"`
	S            []byte
	SWithContext []byte
}

// TestOfficialCompositeVectors runs those of the draft, appendix E.
func TestOfficialCompositeVectors(t *testing.T) {
	set, files := vectors(t, "composite", compositeFiles)
	for _, file := range files {
		f := readJSON[compositeFile](t, file)
		for _, c := range f.Tests {
			name := strings.TrimPrefix(c.TcID, "id-")
			t.Run(name, func(t *testing.T) {
				set.ran++
				alg, err := ParseAlgorithm(name)
				if err != nil {
					t.Logf("not one of ours, and must be refused: %v", err)
					testUnknown(t, name, &c)
					if !set.theirs && !strings.Contains(name, "brainpool") {
						t.Errorf("%s is missing", name)
					}
					return
				}
				pub := testCompositePublic(t, alg, &c)
				testCompositeSignatures(t, pub, &f, &c)
				testCompositePrivate(t, pub, &f, &c)
			})
		}
	}
}

func testUnknown(t *testing.T, name string, c *compositeCase) {
	cert, err := x509.ParseCertificate(c.X5C)
	if err != nil {
		t.Fatal(err)
	}
	_, errName := ParseAlgorithm(name)
	_, errSPKI := ParsePKIXPublicKey(cert.RawSubjectPublicKeyInfo)
	_, errPKCS8 := ParsePKCS8PrivateKey(c.PKCS8)
	for _, err := range []error{errName, errSPKI, errPKCS8} {
		if !errors.Is(err, ErrUnknownAlgorithm) {
			t.Errorf("got %v, want %v", err, ErrUnknownAlgorithm)
		}
	}
}

func testCompositePublic(t *testing.T, alg Algorithm, c *compositeCase) *PublicKey {
	pub, err := NewPublicKey(alg, c.PK)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pub.Bytes(), c.PK) {
		t.Error("the raw public key reads and writes differently")
	}
	cert, err := x509.ParseCertificate(c.X5C)
	if err != nil {
		t.Fatal(err)
	}
	inCert, err := ParsePKIXPublicKey(cert.RawSubjectPublicKeyInfo)
	if err != nil {
		t.Fatal(err)
	}
	if !inCert.Equal(pub) || !bytes.Equal(MarshalPKIXPublicKey(pub), cert.RawSubjectPublicKeyInfo) {
		t.Error("the key in the certificate is another")
	}
	if !pub.Verify(cert.RawTBSCertificate, cert.Signature) {
		t.Error("the self-signed certificate is refused")
	}
	return pub
}

func testCompositeSignatures(t *testing.T, pub *PublicKey, f *compositeFile, c *compositeCase) {
	with := &Options{Context: f.Ctx}
	if !pub.Verify(f.M, c.S) || !pub.VerifyWithOptions(f.M, c.SWithContext, with) {
		t.Error("a signature is refused")
	}
	if pub.Verify(f.M, c.SWithContext) || pub.VerifyWithOptions(f.M, c.S, with) {
		t.Error("the context makes no difference")
	}
}

func testCompositePrivate(t *testing.T, pub *PublicKey, f *compositeFile, c *compositeCase) {
	k, err := NewPrivateKey(pub.Algorithm(), c.SK)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := k.Bytes(); err != nil || !bytes.Equal(raw, c.SK) {
		t.Errorf("the raw private key reads and writes differently (%v)", err)
	}
	if !k.PublicKey().Equal(pub) {
		t.Error("the private key has another public key")
	}
	parsed, err := ParsePKCS8PrivateKey(c.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	if der, err := MarshalPKCS8PrivateKey(k); err != nil || !bytes.Equal(der, c.PKCS8) || !parsed.Equal(k) {
		t.Errorf("PKCS #8 reads and writes differently (%v)", err)
	}
	sig, err := k.Sign(nil, f.M, &Options{Context: f.Ctx})
	if err != nil || !pub.VerifyWithOptions(f.M, sig, &Options{Context: f.Ctx}) {
		t.Errorf("our own signature is refused (%v)", err)
	}
}

// TestMessageRepresentative compares M' with the worked examples of the draft,
// appendix D.
func TestMessageRepresentative(t *testing.T) {
	set, files := vectors(t, "composite M'", mprimeFiles)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f := fields(string(b))
		want := fromHex(t, f["M'"])
		context := fromHex(t, strings.TrimSuffix(f["ctx"], "<empty>"))
		got := MLDSA65ECDSAP256SHA512.row().representative(fromHex(t, f["M"]), context)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got %s, want %s", file, hex.EncodeToString(got), f["M'"])
		}
		set.ran++
	}
}

// fields reads "name: value" lines whose values may go on over lines of hex.
func fields(s string) map[string]string {
	m := map[string]string{}
	name := ""
	hexLine := regexp.MustCompile(`^[0-9a-f]+$`)
	for _, line := range strings.Split(s, "\n") {
		line = strings.TrimSpace(line)
		if before, after, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(line, "#") {
			name = before
			m[name] = after
		} else if hexLine.MatchString(line) {
			m[name] += line
		}
	}
	return m
}
