package secret

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"regexp"
	"strings"
)

// PrivateKey is what a private key is called.
const PrivateKey = "a private key"

// forms are the forms of the secrets that are recognized, and what each is. A short
// beginning of a token is enough: errors may have cut it.
var forms = []struct {
	kind string
	mark string // is in every text that has the form; looking for it is cheap
	form *regexp.Regexp
}{
	{"an enrollment token", "brevet_enroll_", regexp.MustCompile(`brevet_enroll_[A-Za-z0-9_-]{4,}`)},
	{"a link for a passkey", "brevet_passkey_", regexp.MustCompile(`brevet_passkey_[A-Za-z0-9_-]{4,}`)},
	{"an ACME key", "brevet_eab_", regexp.MustCompile(`brevet_eab_[A-Za-z0-9_-]{4,}`)},
	{PrivateKey, "PRIVATE KEY", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|$)`)},
	{"an access token", "eyJ", regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*|eyJ[A-Za-z0-9_-]{24,}`)}, // any JWS or JWE
}

// Recognize returns what secret stands in text, by its form: "an enrollment token",
// "a link for a passkey", "an ACME key", "a private key" in PEM, or "an access token", which is any JWT. It returns ""
// if it recognizes none.
func Recognize(text string) string {
	for _, f := range forms {
		if strings.Contains(text, f.mark) && f.form.MatchString(text) {
			return f.kind
		}
	}
	return ""
}

// signs are what one of stands in every text that Recognize recognizes, and the place in it of
// an octet that is rare elsewhere.
var signs = []struct {
	text []byte
	rare int
}{{[]byte("brevet_"), 6}, {[]byte("PRIVATE KEY"), 3}, {[]byte("eyJ"), 2}}

// Suspect reports whether a text may have a secret in it: if not, [Recognize] recognizes none.
// It is fast.
func Suspect(text []byte) bool {
	for _, sign := range signs {
		for from := sign.rare; from < len(text); from++ {
			i := bytes.IndexByte(text[from:], sign.text[sign.rare])
			if i < 0 {
				break
			}
			if from += i; bytes.HasPrefix(text[from-sign.rare:], sign.text) {
				return true
			}
		}
	}
	return false
}

// Redact returns text with each secret in it that [Recognize] knows replaced. People and
// programs put secrets in wrong places, such as a token in a user name; what logs and
// errors repeat of such input passes through here.
func Redact(text string) string {
	for _, f := range forms {
		if strings.Contains(text, f.mark) {
			text = f.form.ReplaceAllString(text, hidden)
		}
	}
	return text
}

// RecognizeFile is Recognize for a file, which may also have a private key in DER, or as a JWK
// (RFC 7517).
func RecognizeFile(file []byte) string {
	if kind := Recognize(string(file)); kind != "" {
		return kind
	}
	var jwk struct{ Kty, D, K string }
	if json.Unmarshal(file, &jwk) == nil && jwk.Kty != "" && jwk.D+jwk.K != "" {
		return PrivateKey
	}
	if _, err := x509.ParsePKCS8PrivateKey(file); err == nil {
		return PrivateKey
	}
	if _, err := x509.ParseECPrivateKey(file); err == nil {
		return PrivateKey
	}
	if _, err := x509.ParsePKCS1PrivateKey(file); err == nil {
		return PrivateKey
	}
	return ""
}
