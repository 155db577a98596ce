package secret_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents/secret"
)

// misplaced are secrets, by what they are.
func misplaced(t testing.TB) map[string]string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"a link for a passkey": "brevet_passkey_DJPCYjRRiWxHYt_rBcLZqVRN_9dG2-jT0o3nR1bG0ZpUo0z5",
		"an enrollment token":  "brevet_enroll_DJPCYjRRiWxHYt_rBcLZqVRN_9dG2-jT0o3nR1bG0ZpUo0z5",
		"an ACME key":          "brevet_eab_1vJ7_3yZk0pJb7mC0Vd0oQe4m2q0b7Wk3TzZt8wQzvXc",
		"a private key":        strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))),
		"an access token":      "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2NhIn0.MEUCIQDq3yZk0pJb7mC0",
	}
}

func TestRecognize(t *testing.T) {
	for kind, text := range misplaced(t) {
		for _, around := range [][2]string{{"", ""}, {"invalid scope \"", "\": want"}, {"https://api.example/?token=", "&x=y"}, {"a=", "\n"}} {
			in := around[0] + text + around[1]
			if got := secret.Recognize(in); got != kind || !secret.Suspect([]byte(in)) {
				t.Errorf("%q: got %q, want %q", in, got, kind)
			}
			got := secret.Redact(in)
			if strings.Contains(got, text[len(text)/2:len(text)-1]) || !strings.HasPrefix(got, around[0]) {
				t.Errorf("%q was redacted to %q", in, got)
			}
			if secret.Recognize(got) != "" || secret.Redact(got) != got {
				t.Errorf("%q was redacted to %q, which still has a secret", in, got)
			}
		}
	}
}

func TestRecognizeLeavesNames(t *testing.T) {
	for _, text := range []string{
		"", "build-bot", "orders:read", "brevet:introspect", "brevet_enroll_x", "https://api.example/v1.2.3", "ci@example.org", "eyJ", "eyJhbGciOiJFUzI1NiJ9",
		"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----", "6acf0c2b6d1c0a5c8d3f1b0e9a7c6d5e4f302112", "no PRIVATE KEY here",
	} {
		if got := secret.Recognize(text); got != "" {
			t.Errorf("%q is taken for %s", text, got)
		}
		if got := secret.Redact(text); got != text {
			t.Errorf("%q was redacted to %q", text, got)
		}
	}
}

func TestRecognizeFile(t *testing.T) {
	block, _ := pem.Decode([]byte(misplaced(t)["a private key"]))
	if got := secret.RecognizeFile(block.Bytes); got != "a private key" {
		t.Errorf("DER: got %q", got)
	}
	if got := secret.RecognizeFile([]byte("\xef\xbb\xbf" + misplaced(t)["a private key"])); got != "a private key" {
		t.Errorf("PEM with a BOM: got %q", got)
	}
	for text, want := range map[string]string{
		`{"kty":"EC","crv":"P-256","x":"eA","y":"eQ","d":"ZA"}`: "a private key", `{"kty":"oct","k":"aw"}`: "a private key", `{"kty":"EC","crv":"P-256","x":"eA","y":"eQ"}`: "", `{"k":"v"}`: "",
	} {
		if got := secret.RecognizeFile([]byte(text)); got != want {
			t.Errorf("%s: got %q", text, got)
		}
	}
	if got := secret.RecognizeFile([]byte("nothing")); got != "" {
		t.Errorf("got %q", got)
	}
}

// FuzzRedact checks that what was redacted has no secret left.
func FuzzRedact(f *testing.F) {
	for _, text := range misplaced(f) {
		f.Add(text)
		f.Add(text[:len(text)/2] + text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := secret.Redact(text)
		if kind := secret.Recognize(once); kind != "" {
			t.Errorf("%q was redacted to %q, which has %s", text, once, kind)
		}
		if secret.Recognize(text) != "" && !secret.Suspect([]byte(text)) {
			t.Errorf("%q is not suspect", text)
		}
		if secret.Recognize(text) == "" && once != text {
			t.Errorf("%q was changed to %q", text, once)
		}
	})
}
