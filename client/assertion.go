package client

import (
	"crypto"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// assertionLife is how long an assertion may be on its way.
const assertionLife = time.Minute

// assertion returns a JWT by which the agent proves at the token endpoint of
// issuer that it has the key of its certificate (RFC 7523, section 3).
func assertion(p *pair, issuer string, now time.Time) (string, error) {
	key, ok := p.PrivateKey.(crypto.Signer)
	if !ok {
		return "", fmt.Errorf("assertions are not signed with keys of type %T", p.PrivateKey)
	}
	signer, err := jose.NewSigner(key, "", "JWT")
	if err != nil {
		return "", fmt.Errorf("preparing to sign an assertion: %w", err)
	}
	jti := make([]byte, 16)
	rand.Read(jti)
	claims, err := json.Marshal(jose.Claims{
		Issuer: p.agent(), Subject: p.agent(), Audience: []string{issuer},
		ID:       strict.ToBase64(jti),
		IssuedAt: now, Expiry: now.Add(assertionLife),
	})
	if err != nil {
		return "", fmt.Errorf("writing an assertion: %w", err)
	}
	text, err := signer.Sign(claims)
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	return text, nil
}
