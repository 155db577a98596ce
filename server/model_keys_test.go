package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicPEM(t testing.TB, key *ecdsa.PrivateKey) string {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}

func csrPEM(t testing.TB, key *ecdsa.PrivateKey, template *x509.CertificateRequest) string {
	t.Helper()
	if template == nil {
		template = &x509.CertificateRequest{}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// jti returns the identifier of an access token.
func jti(t testing.TB, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Errorf("an access token of %d parts", len(parts))
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var c struct {
		ID string `json:"jti"`
	}
	if err != nil || json.Unmarshal(payload, &c) != nil {
		t.Errorf("an access token whose payload is %q", parts[1])
	}
	return c.ID
}

// serial returns a certificate's serial number as the authority writes it.
func serial(c *x509.Certificate) string {
	var id agents.CredentialID
	c.SerialNumber.FillBytes(id[:])
	return id.String()
}

// assertion returns a client assertion (RFC 7523, section 2.2) signed by key.
func (a *world) assertion(name string, key *ecdsa.PrivateKey) string {
	now := a.now()
	return signES256(a.t, key, `{"alg":"ES256"}`, map[string]any{
		"iss": name, "sub": name, "aud": a.file.Advertise, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})
}

// signES256 returns the compact JWS of claims, or of nothing.
func signES256(t testing.TB, key *ecdsa.PrivateKey, header string, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	if claims == nil { // POST-as-GET (RFC 8555, section 6.3)
		payload = nil
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	hash := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	var raw [64]byte
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(raw[:])
}

// byAssertion are the parameters of a request authenticated by an assertion.
func (a *world) byAssertion(name string, key *ecdsa.PrivateKey) url.Values {
	return url.Values{
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {a.assertion(name, key)},
	}
}

// wantToken adds what asks for a token.
func wantToken(form url.Values) url.Values {
	form.Set("grant_type", "client_credentials")
	return form
}

// flipECDSA returns the certificate with s of its ECDSA signature on P-256
// replaced by n-s: another encoding of a certificate that verifies alike.
func flipECDSA(t testing.TB, c *x509.Certificate) []byte {
	t.Helper()
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(c.Signature, &sig); err != nil {
		t.Fatal(err)
	}
	sig.S.Sub(elliptic.P256().Params().N, sig.S)
	value, err := asn1.Marshal(sig)
	if err != nil {
		t.Fatal(err)
	}
	var whole struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.Raw, &whole); err != nil {
		t.Fatal(err)
	}
	whole.Signature = asn1.BitString{Bytes: value, BitLength: 8 * len(value)}
	der, err := asn1.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
