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
// (RFC 7523, section 3). more are names and values of further claims.
func assertion(key crypto.Signer, agent, issuer string, now time.Time, more ...string) (string, error) {
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
	if len(more) > 0 {
		if claims, err = withClaims(claims, more); err != nil {
			return "", fmt.Errorf("writing an assertion: %w", err)
		}
	}
	text, err := signer.Sign(claims)
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	return text, nil
}

// withClaims adds claims to others.
func withClaims(claims []byte, more []string) ([]byte, error) {
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(claims, &all); err != nil {
		return nil, err
	}
	for i := 0; i < len(more); i += 2 {
		value, err := json.Marshal(more[i+1])
		if err != nil {
			return nil, err
		}
		all[more[i]] = value
	}
	return json.Marshal(all)
}
