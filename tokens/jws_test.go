package tokens

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// TestTypesOfJWT: a header names the type that was asked for, and no other type
// is signed.
func TestTypesOfJWT(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSigner("00ff", key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.sign(accessTokenType, []byte(`{}`))
	header, _ := strict.Base64(strings.SplitN(text, ".", 2)[0])
	if want := `{"alg":"EdDSA","kid":"00ff","typ":"at+jwt"}`; err != nil || string(header) != want {
		t.Errorf("got %s, %v, want %s", header, err, want)
	}
	if text, err := s.sign("secevent+jwt", []byte(`{}`)); err == nil {
		t.Errorf("another type: signed %s", text)
	}
}
