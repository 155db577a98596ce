package main

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// tokenByAssertion asks for tokens by private_key_jwt (RFC 7523). Each call
// signs an assertion of its own: the client's share of the machine is larger
// here.
func (t *target) tokenByAssertion(b *testing.B) request {
	signers := map[*benchClient]jose.Signer{}
	for _, c := range t.clients {
		if err := c.call(t.certificate()); err != nil { // makes c.key the key of the current certificate
			b.Fatal(err)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: c.key}, nil)
		if err != nil {
			b.Fatal(err)
		}
		signers[c] = signer
	}
	return func(c *benchClient) (*http.Request, error) {
		id := make([]byte, 16)
		rand.Read(id)
		name := c.agent.Agent()
		text, err := jwt.Signed(signers[c]).Claims(jwt.Claims{
			Issuer: name, Subject: name, Audience: jwt.Audience{t.url}, ID: base64.RawURLEncoding.EncodeToString(id),
			Expiry: jwt.NewNumericDate(time.Now().Add(time.Minute)),
		}).Serialize()
		if err != nil {
			return nil, err
		}
		return postForm(t.url+"/oauth/token", url.Values{
			"grant_type": {"client_credentials"}, "scope": {"read"}, "client_assertion": {text},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		})
	}
}
