package file

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/test/peer"
	"github.com/brevet-ca/brevet/storage/keys"
)

// openssl runs the real program. Without it the test is skipped, but not in CI.
func openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(peer.Find(t, "openssl"), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// passphraseFile holds the longest passphrase there is.
func passphraseFile(t *testing.T) (string, Passphrase) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(path, []byte(strings.Repeat("p", maxPassphrase)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := ReadPassphrase(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, p
}

func TestOpenSSLReadsOurFiles(t *testing.T) {
	t.Parallel()
	path, p := passphraseFile(t)
	check := func(s *Store, a keys.Algorithm) {
		k, _, err := s.Generate(keys.Issuer, a, now)
		if err != nil {
			t.Fatal(err)
		}
		got := openssl(t, "pkey", "-in", s.Path(k), "-passin", "file:"+path, "-pubout", "-outform", "DER")
		if !bytes.Equal(got, k.Public) {
			t.Errorf("%s: openssl sees the public key %x, the record has %x", a, got, k.Public)
		}
	}
	for _, a := range keys.Algorithms() {
		check(NewStore(t.TempDir(), NoPassphrase), a)
	}
	check(NewStore(t.TempDir(), p), keys.ECDSAP384) // the seal is the same for all
}

func TestWeReadFilesOfOpenSSL(t *testing.T) {
	t.Parallel()
	path, p := passphraseFile(t)
	s := NewStore(t.TempDir(), p)
	generate := map[keys.Algorithm][]string{
		keys.ECDSAP256: {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		keys.ECDSAP384: {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
		keys.Ed25519:   {"genpkey", "-algorithm", "ED25519"},
	}
	for _, a := range keys.Algorithms() {
		plain := filepath.Join(t.TempDir(), "plain")
		openssl(t, append(generate[a], "-out", plain)...)
		made, err := parsePrivate(openssl(t, "pkcs8", "-topk8", "-nocrypt", "-in", plain, "-outform", "DER"))
		if err != nil {
			t.Fatal(err)
		}
		k, err := keys.NewKey(keys.Root, made, now)
		if err != nil || k.Algorithm != a || !bytes.Equal(k.Public, openssl(t, "pkey", "-in", plain, "-pubout", "-outform", "DER")) {
			t.Fatalf("%s: got the record %+v, %v", a, k, err)
		}
		// sealCommand, which error messages advise, except for the iterations.
		args := strings.Fields(strings.NewReplacer("600000", "2048", "OLD", plain, "NEW", s.Path(k)).Replace(sealCommand))
		openssl(t, append(args[1:], "-passout", "file:"+path)...)
		signer, err := s.Signer(k)
		if err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		samePublic(t, signer, k)
	}
}
