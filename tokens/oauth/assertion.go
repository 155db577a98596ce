package oauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

const (
	// maxAssertion is the longest client assertion that is looked at.
	maxAssertion = 16 << 10
	// assertionLifetime bounds how far ahead an assertion's exp may lie: until
	// then its jti is remembered.
	assertionLifetime = time.Hour
	// clockSkew is how far a client's clock may be off.
	clockSkew = 30 * time.Second
)

// assertionAlgorithms is what client assertions may be signed with, beside
// postQuantumAlgorithms. Symmetric algorithms and "none" are not among them
// (RFC 8725, section 3.1).
var assertionAlgorithms = []jose.SignatureAlgorithm{
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
}

// used remembers the assertions that were used, by a hash of agent and jti,
// until they expire (RFC 7523, section 3, point 7).
const used = storage.Partitioned[struct{}]("assertions")

// An assertion is a JWT by which a client proves who it is (RFC 7523, section
// 2.2), once its signature and claims were checked.
type assertion struct {
	agent   agents.Name
	id      string
	expires time.Time
}

// claim uses the assertion up.
func (a assertion) claim(tx storage.Tx) error {
	key := sha256.Sum256([]byte(string(a.agent) + "\x00" + a.id))
	err := used.Create(tx, a.expires, string(key[:]), struct{}{})
	if errors.Is(err, storage.ErrExists) {
		return fmt.Errorf("%w: the assertion was used before", ErrClient)
	}
	return err
}

// checkAssertion checks a client assertion (RFC 7523, section 3). clientID is
// the parameter of that name, or empty. It returns the agent that the
// assertion claims to come from also if the check fails after that was known.
func (s *Server) checkAssertion(tx storage.Tx, text, clientID string, now time.Time) (assertion, error) {
	if len(text) > maxAssertion {
		return assertion{}, fmt.Errorf("%w: the assertion has %d octets", ErrClient, len(text))
	}
	signed, err := parseAssertion(text)
	if err != nil {
		return assertion{}, err
	}
	c := signed.claims
	name, err := agents.ParseName(c.Issuer)
	if err != nil || c.Subject != c.Issuer || clientID != "" && clientID != c.Issuer {
		return assertion{}, fmt.Errorf("%w: iss, sub and client_id must all be the agent's name", ErrClient)
	}
	agent, err := agents.Get(tx, name)
	if err != nil {
		return assertion{}, fmt.Errorf("%w: %w", ErrClient, err)
	}
	a := assertion{agent: name, id: c.ID, expires: c.Expiry.Time()}
	if err := agent.Usable(now); err != nil {
		return a, fmt.Errorf("%w: %w", ErrClient, err)
	}
	if err := s.checkClaims(c, now); err != nil {
		return a, fmt.Errorf("%w: %v", ErrClient, err)
	}
	candidates, err := agents.Keys(tx, agent, now)
	if err != nil {
		return a, err
	}
	for _, spki := range candidates {
		if signed.by(spki) {
			return a, nil
		}
	}
	return a, fmt.Errorf("%w: none of the agent's %d keys made the assertion's signature", ErrClient, len(candidates))
}

// A signedAssertion is one of which nothing but its form was checked.
type signedAssertion struct {
	claims jwt.Claims
	by     func(agents.PublicKey) bool // whether this key made the signature
}

var errUnencoded = fmt.Errorf("%w: the assertion's header has b64, which is not for a JWT", ErrClient)

func parseAssertion(text string) (signedAssertion, error) {
	// A text has one encoding: go-jose would leave out white space, and verify what it
	// has encoded anew.
	for part := range strings.SplitSeq(text, ".") {
		if _, err := fromBase64(part); err != nil {
			return signedAssertion{}, fmt.Errorf("%w: the assertion: %v", ErrClient, err)
		}
	}
	token, err := jwt.ParseSigned(text, assertionAlgorithms)
	var other *jose.ErrUnexpectedSignatureAlgorithm
	if errors.As(err, &other) && slices.Contains(postQuantumAlgorithms, string(other.Got)) {
		return parsePostQuantum(text)
	}
	if err != nil { // which repeats an alg of any length
		return signedAssertion{}, fmt.Errorf("%w: %.300s", ErrClient, err)
	}
	// go-jose takes a payload that was signed as it stands (RFC 7797), which a JWT must
	// not have (section 7), even where crit does not say so.
	if _, ok := token.Headers[0].ExtraHeaders["b64"]; ok {
		return signedAssertion{}, errUnencoded
	}
	var s signedAssertion
	if err := token.UnsafeClaimsWithoutVerification(&s.claims); err != nil {
		return signedAssertion{}, fmt.Errorf("%w: the assertion's claims: %.300s", ErrClient, err)
	}
	// Of crit, too, go-jose takes one that names b64, though there is none; no extension
	// is known here (RFC 7515, section 4.1.11).
	_, critical := token.Headers[0].ExtraHeaders["crit"]
	s.by = func(spki agents.PublicKey) bool {
		key, err := x509.ParsePKIXPublicKey(spki)
		return err == nil && !critical && fits(key, token.Headers[0].Algorithm) && token.Claims(key, new(jwt.Claims)) == nil
	}
	return s, nil
}

func (s *Server) checkClaims(c jwt.Claims, now time.Time) error {
	if c.Expiry == nil || c.ID == "" || len(c.ID) > 256 {
		return errors.New("the assertion needs exp and a jti of at most 256 octets")
	}
	expires := c.Expiry.Time()
	switch {
	case !slices.Contains(c.Audience, s.Tokens.Issuer) && !slices.Contains(c.Audience, s.Tokens.Issuer+TokenPath):
		return fmt.Errorf("the assertion's aud must be %s", s.Tokens.Issuer)
	case !now.Before(expires.Add(clockSkew)):
		return fmt.Errorf("the assertion expired at %s", expires.UTC().Format(time.RFC3339))
	case expires.After(now.Add(assertionLifetime + clockSkew)):
		return fmt.Errorf("the assertion's exp lies more than %s ahead", assertionLifetime)
	case c.NotBefore != nil && c.NotBefore.Time().After(now.Add(clockSkew)):
		return errors.New("the assertion's nbf lies ahead")
	case c.IssuedAt != nil && c.IssuedAt.Time().After(now.Add(clockSkew)):
		return errors.New("the assertion's iat lies ahead")
	}
	return nil
}

// fits reports whether a key of this kind is used with the algorithm, so that
// no key is ever tried with another kind's (RFC 8725, section 3.1).
func fits(key any, alg string) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		want := map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}
		return alg == want[k.Curve.Params().BitSize]
	case ed25519.PublicKey:
		return alg == "EdDSA"
	case *rsa.PublicKey:
		return len(alg) == 5 && (alg[:2] == "RS" || alg[:2] == "PS")
	}
	return false
}
