package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// An acmeAccount is an ACME client that does the least there is to do (RFC
// 8555), so that a benchmark measures the server: it keeps its nonce, its
// connection and one certificate request.
type acmeAccount struct {
	http      *http.Client
	key       *ecdsa.PrivateKey
	kid       string
	nonce     string
	directory struct{ NewNonce, NewAccount, NewOrder string }
	newOrder  []byte // payloads
	finalize  []byte
}

type acmeOrder struct {
	Status         string
	Authorizations []string
	Finalize       string
	Certificate    string
}

// newACMEAccount registers an account, by a binding if there is a key for one,
// that will order certificates for name.
func newACMEAccount(b *testing.B, directory, name, eabKID, eabKey string) *acmeAccount {
	b.Helper()
	a := &acmeAccount{http: acmeHTTP(b), newOrder: fmt.Appendf(nil, `{"identifiers":[{"type":"dns","value":%q}]}`, name)}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		b.Fatal(err)
	}
	certKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, certKey)
	if err != nil {
		b.Fatal(err)
	}
	a.finalize = fmt.Appendf(nil, `{"csr":%q}`, base64.RawURLEncoding.EncodeToString(csr))
	if err := a.register(directory, eabKID, eabKey); err != nil {
		b.Fatal("registering: ", err)
	}
	return a
}

func (a *acmeAccount) register(directory, eabKID, eabKey string) error {
	r, err := a.http.Get(directory)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&a.directory); err != nil {
		return err
	}
	if r, err = a.http.Head(a.directory.NewNonce); err != nil {
		return err
	}
	r.Body.Close()
	a.nonce = r.Header.Get("Replay-Nonce")
	payload := `{"termsOfServiceAgreed":true}`
	if eabKID != "" {
		mac, err := base64.RawURLEncoding.DecodeString(eabKey)
		if err != nil {
			return err
		}
		protected := fmt.Sprintf(`{"alg":"HS256","kid":%q,"url":%q}`, eabKID, a.directory.NewAccount)
		binding := signed(protected, []byte(a.jwk()), func(input []byte) []byte {
			h := hmac.New(sha256.New, mac)
			h.Write(input)
			return h.Sum(nil)
		})
		payload = fmt.Sprintf(`{"termsOfServiceAgreed":true,"externalAccountBinding":%s}`, binding)
	}
	a.kid, err = a.post(a.directory.NewAccount, []byte(payload), nil)
	return err
}

func (a *acmeAccount) jwk() string {
	point, err := a.key.PublicKey.Bytes()
	if err != nil {
		panic(err) // P-256 has a point
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, b64(point[1:33]), b64(point[33:]))
}

// post sends a signed payload, nil for POST-as-GET, reads the answer into out,
// if it is not nil, and returns its Location.
func (a *acmeAccount) post(url string, payload []byte, out any) (location string, err error) {
	who := fmt.Sprintf(`"kid":%q`, a.kid)
	if a.kid == "" {
		who = `"jwk":` + a.jwk()
	}
	body := signed(fmt.Sprintf(`{"alg":"ES256",%s,"nonce":%q,"url":%q}`, who, a.nonce, url), payload, a.sign)
	r, err := a.http.Post(url, "application/jose+json", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	a.nonce = r.Header.Get("Replay-Nonce")
	if r.StatusCode >= 300 {
		return "", fmt.Errorf("POST %s: %s %s", url, r.Status, text)
	}
	switch out := out.(type) {
	case nil:
	case *string:
		*out = string(text)
	default:
		err = json.Unmarshal(text, out)
	}
	return r.Header.Get("Location"), err
}

// sign returns an ES256 signature (RFC 7518, section 3.4).
func (a *acmeAccount) sign(input []byte) []byte {
	digest := sha256.Sum256(input)
	r, s, err := ecdsa.Sign(rand.Reader, a.key, digest[:])
	if err != nil {
		panic(err) // the system has random numbers
	}
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return out
}

// signed returns a JWS in the flattened serialization.
func signed(protected string, payload []byte, sign func([]byte) []byte) []byte {
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64([]byte(protected)) + "." + b64(payload)
	return fmt.Appendf(nil, `{"protected":%q,"payload":%q,"signature":%q}`, b64([]byte(protected)), b64(payload), b64(sign([]byte(input))))
}
