package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// assertionLife is how long an assertion may be on its way.
const assertionLife = time.Minute

// assertion returns a JWT by which the agent proves at the token endpoint of
// issuer that it has the key of its certificate (RFC 7523, section 3).
func assertion(p *pair, issuer string, now time.Time) (string, error) {
	alg, err := algorithm(p.PrivateKey)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: p.PrivateKey}, new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("preparing to sign an assertion: %w", err)
	}
	jti := make([]byte, 16)
	rand.Read(jti)
	text, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: p.agent(), Subject: p.agent(), Audience: jwt.Audience{issuer},
		ID:       base64.RawURLEncoding.EncodeToString(jti),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(assertionLife)),
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	return text, nil
}

// algorithm returns the JWS algorithm of a key (RFC 7518, section 3.4; RFC
// 8037, section 3.1).
func algorithm(key crypto.PrivateKey) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		switch k.Curve {
		case elliptic.P256():
			return jose.ES256, nil
		case elliptic.P384():
			return jose.ES384, nil
		case elliptic.P521():
			return jose.ES512, nil
		}
	case ed25519.PrivateKey:
		return jose.EdDSA, nil
	}
	return "", fmt.Errorf("assertions are not signed with keys of type %T", key)
}
