package tokens

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
)

// maxToken is the longest token that is looked at, in octets.
const maxToken = 16 << 10

// An Introspection is the answer of RFC 7662, section 2.2. All but Active is
// empty for a token that may not be used.
type Introspection struct {
	Active    bool   `json:"active"`
	TokenType string `json:"token_type,omitempty"`
	*claims
}

// Introspect reports whether the token may be used now. It reads the registry
// on each call, so a revocation shows at once. Scopes and audiences that the
// agent has lost since the token was minted are left out.
func (s *Service) Introspect(tx storage.Tx, text string, now time.Time) (Introspection, error) {
	t, _, err := s.Active(tx, text, now)
	switch {
	case err == nil:
		return Introspection{true, t.Type(), new(s.claims(t))}, nil
	case policy.IsDenial(err) || errors.Is(err, storage.ErrNotFound):
		return Introspection{}, nil // callers are not told why, section 2.2
	}
	return Introspection{}, err
}

// Active returns the record and the agent of a token that may be used now. The
// record has only those scopes and audiences that the agent still has.
func (s *Service) Active(tx storage.Tx, text string, now time.Time) (Token, agents.Agent, error) {
	t, err := Find(tx, text)
	if err != nil {
		return t, agents.Agent{}, err
	}
	a, err := t.check(agents.NewStanding(tx, now))
	if err != nil {
		return t, a, err
	}
	if _, person := t.Agent.Person(); person {
		t, err = t.ofOperator(tx)
		return t, a, err
	}
	held, err := agents.Held(tx, &a, now)
	if err != nil {
		return t, a, err
	}
	if t = t.narrow(&held, s.Address.List(), now); len(t.Scopes) == 0 || len(t.Audiences) == 0 {
		return t, a, policy.ErrScope
	}
	return t, a, nil
}

// Find returns the record of a token, dead or alive, or an error that is
// [storage.ErrNotFound]. The hash in the record shows that the token is the one
// that was minted, so no signature needs checking.
func Find(tx storage.Tx, text string) (Token, error) {
	_, rest, _ := strings.Cut(text, ".")
	encoded, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") || len(text) > maxToken {
		return Token{}, storage.ErrNotFound
	}
	payload, err := strict.Base64(encoded)
	if err != nil {
		return Token{}, storage.ErrNotFound
	}
	// It is enough to look for the jti instead of parsing the payload: the jti only
	// leads to a record, whose hash covers every octet of the token.
	_, after, _ := bytes.Cut(payload, []byte(`"jti":"`))
	digits, _, _ := bytes.Cut(after, []byte(`"`))
	jti, err := agents.ParseCredentialID(string(digits))
	if err != nil {
		return Token{}, storage.ErrNotFound
	}
	hash := sha256.Sum256([]byte(text)) // also of one that is not on record, so that both take the same time
	t, err := Get(tx, jti)
	if err != nil {
		return t, err
	}
	if subtle.ConstantTimeCompare(hash[:], t.Hash[:]) != 1 {
		return Token{}, storage.ErrNotFound
	}
	return t, nil
}

// check returns the agent that holds the token. It fails unless the token, the
// certificate that it is bound to, and all agents named in it may be used.
func (t Token) check(s *agents.Standing) (agents.Agent, error) {
	if t.Bound != nil && t.Bound.Kind == ToCertificate {
		if a, err := s.Check(t.Bound.Certificate); err != nil {
			return a, err
		}
	}
	for _, other := range [...]agents.Name{t.Subject, t.Actor} {
		if other == "" || other == t.Agent {
			continue
		}
		if a, err := s.CheckHolder(other, t.IssuedAt); err != nil {
			return a, err
		}
	}
	return s.Check(t.Credential)
}

// narrow returns the token without the scopes and audiences that its agent has lost.
func (t Token) narrow(held *agents.Holdings, authority address.List, now time.Time) Token {
	t.Scopes = without(t.Scopes, func(s agents.Scope) bool { return !held.Has(s) })
	t.Audiences = without(t.Audiences, func(aud string) bool { return !authority.Has(aud, now) && !held.HasAudience(aud) })
	return t
}

// without returns the list without the items that were lost; if none was lost, it
// returns the list itself.
func without[T any](list []T, lost func(T) bool) []T {
	if !slices.ContainsFunc(list, lost) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), lost)
}
