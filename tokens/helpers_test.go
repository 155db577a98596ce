package tokens_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

var b64url = base64.RawURLEncoding

// part decodes the header (0) or the payload (1) of a JWT.
func part(t *testing.T, token string, i int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// saying returns the token with another algorithm in its header.
func saying(t *testing.T, token, alg string) string {
	t.Helper()
	header := part(t, token, 0)
	header["alg"] = alg
	b, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(token, ".")
	return b64url.EncodeToString(b) + "." + rest
}
