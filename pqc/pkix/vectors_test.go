package pkix

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/pqc"
)

// vectors returns the files of others, see testdata/vectors/README.md. Under
// PQC_VECTORS a set may be missing; of our own copy it may not.
func vectors(t testing.TB, pattern string) []string {
	t.Helper()
	dir := os.Getenv("PQC_VECTORS")
	theirs := dir != ""
	if !theirs {
		dir = "testdata/vectors"
	}
	if !filepath.IsAbs(dir) { // from the root of the module, where go test is called
		dir = filepath.Join("../..", dir)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Fatalf("PQC_VECTORS: %s is no directory; give an absolute path, or one from the root of the module", dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 && theirs {
		t.Skipf("no %s in %s", pattern, dir)
	}
	if len(files) == 0 {
		t.Fatalf("no %s in %s", pattern, dir)
	}
	return files
}

type compositeCase struct {
	TcID string
	X5C  []byte
	SK   []byte
}

func compositeCases(t testing.TB) []compositeCase {
	t.Helper()
	var all []compositeCase
	for _, file := range vectors(t, "composite/*.json") {
		var f struct{ Tests []compositeCase }
		if err := json.Unmarshal(must(os.ReadFile(file))(t), &f); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		all = append(all, f.Tests...)
	}
	return all
}

// checkSelfSigned checks a self-signed certificate by others: it verifies, and does not
// once anything in it is changed.
func checkSelfSigned(t *testing.T, der []byte) {
	c := must(ParseCertificate(der))(t)
	want := protectionOf(c.PublicKey().Algorithm())
	if p, err := c.CheckSelfSigned(); err != nil || p != want {
		t.Errorf("got %v and %v, want %v", p, err, want)
	}
	_, err := c.Verify(&Options{Roots: []*Certificate{c}, Time: c.X509.NotBefore, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	refused(t, err, "itself among the roots")
	for _, at := range []int{len(der) - 1, len(der) - 100, len(der) - len(c.signed.signature) + 7, len(der) / 4} {
		der[at] ^= 1
		if changed, err := ParseCertificate(der); err == nil {
			_, err := changed.CheckSelfSigned()
			refused(t, err, "does not verify")
		}
		der[at] ^= 1
	}
}

func TestOfficialCertificates(t *testing.T) {
	cases := compositeCases(t)
	for _, c := range cases {
		t.Run(c.TcID, func(t *testing.T) {
			if _, err := pqc.ParseAlgorithm(strings.TrimPrefix(c.TcID, "id-")); err != nil {
				t.Logf("not one of ours, and must be refused: %v", err)
				_, err := must(ParseCertificate(c.X5C))(t).CheckSelfSigned()
				if !errors.Is(err, pqc.ErrUnknownAlgorithm) {
					t.Errorf("got %v, want %v", err, pqc.ErrUnknownAlgorithm)
				}
				return
			}
			checkSelfSigned(t, c.X5C)
		})
	}
	t.Logf("composite certificates: %d cases", len(cases))
}

func TestRFC9881Certificates(t *testing.T) {
	files := vectors(t, "rfc9881/*.crt.pem")
	ran := 0
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			if _, err := pqc.ParseAlgorithm(strings.TrimSuffix(filepath.Base(file), ".crt.pem")); err != nil {
				t.Logf("passed over: %v", err)
				return
			}
			ran++
			block, _ := pem.Decode(must(os.ReadFile(file))(t))
			checkSelfSigned(t, block.Bytes)
			c := must(ParseCertificate(block.Bytes))(t)
			if _, err := c.CheckSignatureFrom(c); err != nil && c.X509.IsCA {
				t.Errorf("as a CA: %v", err)
			}
		})
	}
	t.Logf("RFC 9881 certificates: %d cases", ran)
}
