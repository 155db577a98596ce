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

// assertion returns a JWT by which an agent proves to the authority issuer that it has a key
// (RFC 7523, section 3).
func assertion(key crypto.Signer, agent, issuer string, now time.Time) (string, error) {
	signer, err := jose.NewSigner(key, "", "JWT")
	if err != nil {
		return "", fmt.Errorf("preparing to sign an assertion: %w", err)
	}
	jti := make([]byte, 16)
	rand.Read(jti)
	claims, err := json.Marshal(jose.Claims{
		Issuer: agent, Subject: agent, Audience: []string{issuer},
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
