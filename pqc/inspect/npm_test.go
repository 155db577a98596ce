package inspect

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/pqc/pkix/pkixtest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// npmDir is where make peers puts jose and @noble, and a node that knows ML-DSA.
const npmDir = "../../bin/npm"

// node returns the answers of testdata/verify.mjs to cases.
func node(t *testing.T, cases any) []any {
	t.Helper()
	program := "node"
	own, err := filepath.Abs(filepath.Join(npmDir, "node_modules", "node-"+npmPlatform(), "bin", "node"))
	check(t, err)
	if _, err := os.Stat(own); err == nil {
		program = own
	}
	_, missing := os.Stat(filepath.Join(npmDir, "node_modules", "jose"))
	if _, err := exec.LookPath(program); err != nil || missing != nil {
		peer.Missing(t, "node, or jose or @noble from npm, is missing: run make peers")
	}
	in, err := json.Marshal(cases)
	check(t, err)
	cmd := exec.CommandContext(t.Context(), program, "testdata/verify.mjs", npmDir)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	var answers []any
	check(t, json.Unmarshal(out, &answers))
	return answers
}

// npmPlatform is how npm names this one.
func npmPlatform() string {
	return runtime.GOOS + "-" + strings.Replace(runtime.GOARCH, "amd64", "x64", 1)
}

// A foreignCase is one for testdata/verify.mjs.
type foreignCase struct {
	Kind   string          `json:"kind"`
	Cert   []byte          `json:"cert,omitempty"`
	Issuer []byte          `json:"issuer,omitempty"`
	JWK    json.RawMessage `json:"jwk,omitempty"`
	Token  string          `json:"token,omitempty"`
	Alg    string          `json:"alg,omitempty"`
	Key    []byte          `json:"key,omitempty"`

	name string
	want any
}

// TestNPMVerifiesOurs has jose and @noble verify what we have signed, and refuse
// the same with a change in it.
func TestNPMVerifiesOurs(t *testing.T) {
	cases := append(certificateCases(t), jwsCases(t)...)
	for i, got := range node(t, cases) {
		if c := cases[i]; got != c.want {
			t.Errorf("%s: %s says %v, want %v", c.name, c.Kind, got, c.want)
		}
	}
	t.Logf("%d cases", len(cases))
}

// certificateCases are certificates, CRLs and requests of every algorithm: as they are,
// with what is signed changed, and with each half of the signature changed.
func certificateCases(t *testing.T) (cases []foreignCase) {
	add := func(kind, name string, der []byte, by *signer, changes ...int) {
		cases = append(cases, foreignCase{Kind: kind, Cert: der, Issuer: by.Cert.Raw, name: name, want: true})
		for _, at := range append(changes, bytes.Index(der, []byte("example"))) {
			changed := bytes.Clone(der)
			changed[at] ^= 1
			cases = append(cases, foreignCase{Kind: kind, Cert: changed, Issuer: by.Cert.Raw, name: fmt.Sprintf("%s, octet %d changed", name, at), want: false})
		}
	}
	for alg, key := range vectorKeys(t) {
		by := rootBy(t, func(s *signer) (err error) {
			s.Signer, err = pkix.NewSigner(key)
			return err
		})
		c, list := leaf(t, by).Raw, by.CRL(t, 1)
		request, err := pkix.CreateCSR(&x509.CertificateRequest{DNSNames: []string{"a.example"}}, by.Signer)
		check(t, err)
		last := len(c) - 1 // of the traditional half, or of the only one
		add("signed", alg.String()+" certificate", c, by, last, last-alg.SignatureSize()+200)
		add("signed", alg.String()+" CRL", list, by)
		add("request", alg.String()+" request", request, by)
		if alg.Composite() {
			continue
		}
		add("openssl", alg.String()+" certificate", c, by, last)
		pkcs8, err := pqc.MarshalPKCS8PrivateKey(key)
		check(t, err)
		spki := base64.StdEncoding.EncodeToString(pqc.MarshalPKIXPublicKey(key.PublicKey()))
		cases = append(cases, foreignCase{Kind: "key", Key: pkcs8, name: alg.String() + " private key", want: spki})
	}
	alt := pkixtest.NewCA(t, alternative, "root", nil)
	add("alternative", "alternative signature", leaf(t, alt).Raw, alt)
	add("openssl", "alternative signature, outside", leaf(t, alt).Raw, alt)
	return cases
}

// vectorKeys returns a key of every algorithm, from the vectors: to make those of RSA
// takes long.
func vectorKeys(t *testing.T) map[pqc.Algorithm]*pqc.PrivateKey {
	t.Helper()
	file, err := os.ReadFile("../../testdata/vectors/composite/testvectors.json")
	check(t, err)
	var doc struct {
		Tests []struct {
			PKCS8 []byte `json:"sk_pkcs8"`
		}
	}
	check(t, json.Unmarshal(file, &doc))
	keys := map[pqc.Algorithm]*pqc.PrivateKey{}
	for _, c := range doc.Tests {
		if key, err := pqc.ParsePKCS8PrivateKey(c.PKCS8); err == nil {
			keys[key.Algorithm()] = key
		}
	}
	if len(keys) != len(pqc.Algorithms()) {
		t.Errorf("keys of %d algorithms, want %d", len(keys), len(pqc.Algorithms()))
	}
	return keys
}

// rootBy makes a root that signs as set says.
func rootBy(t *testing.T, set func(*signer) error) *signer {
	s := &signer{}
	var err error
	s.Key, err = newKey()
	check(t, err)
	check(t, set(s))
	s.Cert = s.SignSPKI(pkixtest.Leaf(func(c *x509.Certificate) {
		c.Subject.CommonName = "root.example"
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	}), s.Key.Public(), s.Signer.PublicKey())
	return s
}

func jwsCases(t *testing.T) (cases []foreignCase) {
	for _, alg := range []pqc.Algorithm{pqc.MLDSA44, pqc.MLDSA65, pqc.MLDSA87} {
		key, err := pqc.GenerateKey(alg)
		check(t, err)
		text := signJWS(t, key, `{"alg":"`+alg.JOSE()+`"}`, `{"sub":"bot"}`)
		changed := strings.Replace(text, "."+b64(`{"sub":"bot"}`)+".", "."+b64(`{"sub":"bob"}`)+".", 1)
		jwk := json.RawMessage(jwkOf(t, key))
		for _, kind := range []string{"jose", "noble"} {
			cases = append(cases,
				foreignCase{Kind: kind, JWK: jwk, Token: text, name: alg.String(), want: true},
				foreignCase{Kind: kind, JWK: jwk, Token: changed, name: alg.String() + ", changed", want: false})
		}
		thumbprint, err := key.PublicKey().Thumbprint()
		check(t, err)
		cases = append(cases, foreignCase{Kind: "thumbprint", JWK: jwk, name: alg.String(), want: thumbprint})
	}
	return cases
}

// TestWeVerifyNPMs is the other direction.
func TestWeVerifyNPMs(t *testing.T) {
	var cases []foreignCase
	for _, alg := range []string{"ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "ES256", "ES384", "EdDSA", "Ed25519", "RS256"} {
		cases = append(cases, foreignCase{Kind: "sign", Alg: alg})
	}
	for i, answer := range node(t, cases) {
		var signed struct{ Token, JWK string }
		if text, _ := answer.(string); json.Unmarshal([]byte(text), &signed) != nil {
			t.Errorf("%s: %v", cases[i].Alg, answer)
			continue
		}
		v := jwsInspector(t, signed.JWK).JWS([]byte(signed.Token))
		if v.Err != nil || v.Algorithm != cases[i].Alg {
			t.Errorf("%s: got %+v", cases[i].Alg, v)
		}
		late := jwsInspector(t, signed.JWK)
		late.Time = time.Now()
		refused(t, late.JWS([]byte(strings.Replace(signed.Token, "."+b64("signed by jose"), "."+b64("signed by josé"), 1))), "does not verify")
	}
}
