package oauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/pqc/jose"
)

// A signedAssertion is an assertion whose signature has not been checked yet, only
// its form.
type signedAssertion struct {
	*jose.Signed
	claims jose.Claims
}

func parseAssertion(text string) (signedAssertion, error) {
	signed, err := jose.ParseCompact(text)
	if err != nil {
		return signedAssertion{}, fmt.Errorf("%w: the assertion: %v", ErrClient, err)
	}
	if !slices.Contains(assertionAlgorithms, signed.Algorithm) {
		return signedAssertion{}, fmt.Errorf("%w: the assertion's alg %.40q is not one of %v", ErrClient, signed.Algorithm, assertionAlgorithms)
	}
	claims, err := jose.ParseClaims(signed.Payload)
	if err != nil {
		return signedAssertion{}, fmt.Errorf("%w: the assertion's claims: %v", ErrClient, err)
	}
	return signedAssertion{signed, claims}, nil
}

// checkClaims checks what a client is told about: see [proven].
func (s *Server) checkClaims(signed signedAssertion, now time.Time) error {
	c := signed.claims
	if err := checkType(signed.Signed); err != nil {
		return err
	}
	if c.Expiry.IsZero() || c.ID == "" || len(c.ID) > 256 {
		return errors.New("the assertion needs exp and a jti of at most 256 octets")
	}
	expires := c.Expiry
	switch {
	case len(c.Audience) != 1 || s.Tokens.Address.List().Find(c.Audience[0], now) == "":
		return fmt.Errorf("the assertion's aud must be %s and nothing else", strings.Join(s.Tokens.Address.List().InUse(now), " or "))
	case !now.Before(expires.Add(clockSkew)):
		return fmt.Errorf("the assertion expired at %s", expires.UTC().Format(time.RFC3339))
	case expires.After(now.Add(assertionLifetime + clockSkew)):
		return fmt.Errorf("the assertion's exp lies more than %s ahead", clock.FormatDuration(assertionLifetime))
	case c.NotBefore.After(now.Add(clockSkew)):
		return errors.New("the assertion's nbf lies ahead")
	case c.IssuedAt.After(now.Add(clockSkew)):
		return errors.New("the assertion's iat lies ahead")
	}
	return nil
}

// checkType refuses JWTs of other kinds, such as access tokens or DPoP proofs, which the
// same key may have signed (draft-ietf-oauth-rfc7523bis; RFC 8725, section 3.11). Names
// of media types are compared as RFC 7515, section 4.1.9 says.
func checkType(s *jose.Signed) error {
	if !s.Header.Has("typ") {
		return nil
	}
	typ, err := s.Header.Text("typ")
	if typ = strings.TrimPrefix(strings.ToLower(typ), "application/"); err != nil || typ != "jwt" && typ != "client-authentication+jwt" {
		return errors.New("the assertion's typ must be JWT or client-authentication+jwt, or absent")
	}
	return nil
}

// madeAfter refuses an assertion that may have been used before the store was restored:
// the use is on record no more. The client's clock may have been ahead. An assertion
// without iat is as old as its exp lets it be.
func madeAfter(c jose.Claims, restored time.Time) error {
	if restored.IsZero() {
		return nil
	}
	bound := restored.Add(clockSkew)
	switch {
	case c.IssuedAt.IsZero() && !c.Expiry.After(bound.Add(assertionLifetime)):
		return fmt.Errorf("the assertion has no iat and may be from before the store was restored, at %s", restored.UTC().Format(time.RFC3339))
	case !c.IssuedAt.IsZero() && !c.IssuedAt.After(bound):
		return fmt.Errorf("the assertion's iat is not %s after the store was restored, at %s", clock.FormatDuration(clockSkew), restored.UTC().Format(time.RFC3339))
	}
	return nil
}

// nextKey returns the claim of that name, or "".
func (s signedAssertion) nextKey() (text string, err error) {
	if !s.claims.Members.Has(nextKey) {
		return "", nil
	}
	return s.claims.Members.Text(nextKey)
}
