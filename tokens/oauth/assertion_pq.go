package oauth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4/json" // knows no "ALG" for "alg", and no member twice

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
)

// postQuantumAlgorithms are the names in JOSE of what package pqc checks.
var postQuantumAlgorithms = func() (names []string) {
	for _, a := range pqc.Algorithms() {
		if a.JOSE() != "" {
			names = append(names, a.JOSE())
		}
	}
	return names
}()

// parsePostQuantum reads a compact JWS (RFC 7515, section 7.1) whose header
// names a post-quantum algorithm. Of the header only alg counts: the key comes
// from the registry, whatever is said of it there.
func parsePostQuantum(text string) (signedAssertion, error) {
	parts := strings.SplitN(text, ".", 4)
	if len(parts) != 3 {
		return signedAssertion{}, fmt.Errorf("%w: the assertion is no compact JWS", ErrClient)
	}
	var h struct {
		Algorithm string          `json:"alg"`
		Critical  json.RawMessage `json:"crit"`
		Encoded   json.RawMessage `json:"b64"`
	}
	if err := decode(parts[0], &h); err != nil {
		return signedAssertion{}, fmt.Errorf("%w: the assertion's header: %v", ErrClient, err)
	}
	if h.Critical != nil {
		return signedAssertion{}, fmt.Errorf("%w: the assertion has critical extensions, and none is known here", ErrClient) // section 4.1.11
	}
	if h.Encoded != nil {
		return signedAssertion{}, errUnencoded
	}
	var s signedAssertion
	if err := decode(parts[1], &s.claims); err != nil {
		return signedAssertion{}, fmt.Errorf("%w: the assertion's claims: %v", ErrClient, err)
	}
	signature, err := fromBase64(parts[2])
	if err != nil {
		return signedAssertion{}, fmt.Errorf("%w: the assertion's signature: %v", ErrClient, err)
	}
	input := []byte(text[:len(parts[0])+1+len(parts[1])])
	s.by = func(spki agents.PublicKey) bool {
		key, err := pqc.ParsePKIXPublicKey(spki)
		// A key is for the one algorithm that it names (RFC 9964, section 3).
		return err == nil && key.VerifyJWS(h.Algorithm, input, signature)
	}
	return s, nil
}

var errNotBase64 = errors.New("it is not base64url without padding")

// fromBase64 decodes one part of a JWS. A text has one encoding only.
func fromBase64(part string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil || strings.ContainsAny(part, "\r\n") { // which the decoder skips
		return nil, errNotBase64
	}
	return raw, nil
}

func decode(part string, into any) error {
	raw, err := fromBase64(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
