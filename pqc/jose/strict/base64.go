package strict

import (
	"encoding/base64"
	"errors"
	"strings"
)

// base64url refuses unused bits in the last character that are not zero.
var base64url = base64.RawURLEncoding.Strict()

var errNotBase64 = errors.New("it is not base64url without padding")

// Base64 decodes base64url without padding (RFC 7515, section 2). Each octet
// string has one encoding: the line ends that encoding/base64 skips are refused.
func Base64(text string) ([]byte, error) {
	b, err := base64url.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errNotBase64
	}
	return b, nil
}

// ToBase64 returns the one text that [Base64] reads as b.
func ToBase64(b []byte) string { return base64url.EncodeToString(b) }

// AppendBase64 appends the encoding of b to text.
func AppendBase64(text, b []byte) []byte { return base64url.AppendEncode(text, b) }

// Base64Len returns how long the encoding of n octets is.
func Base64Len(n int) int { return base64url.EncodedLen(n) }
