package tokens

import (
	"context"
	"encoding/json"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Trial says how large tokens and the JWK Set would be with a key of some
// algorithm. It was tried out with a key that is then forgotten.
type Trial struct {
	Algorithm string // "alg" of the token (RFC 7515, section 4.1.1)
	Token     int    // characters
	Key       int    // octets in the JWK Set
}

// Trial signs the claims of the token that was minted last with a new key of
// purpose p and algorithm a. If no token is alive, it signs the claims of a small
// one. The result is not a valid token: its key is in no JWK Set, and no record of
// it is kept.
func (s *Service) Trial(ctx context.Context, p keys.Purpose, a keys.Algorithm) (Trial, error) {
	if err := checkAlgorithm(p, a); err != nil {
		return Trial{}, err
	}
	now := s.Clock.Now()
	k, private, err := keys.Trial(p, a, now)
	if err != nil {
		return Trial{}, err
	}
	signer, err := newSigner(k.ID, private)
	if err != nil {
		return Trial{}, err
	}
	like := Token{
		Credential: agents.Credential{Agent: "agent", IssuedAt: now.Add(-MaxLifetime)}, Kind: AccessToken, Subject: "agent",
		Audiences: []string{s.Address.Current()}, Scopes: []agents.Scope{agents.ScopeIntrospect},
	}
	if like.ID, err = agents.NewCredentialID(now.Add(defaultLifetime)); err != nil {
		return Trial{}, err
	}
	if like, err = s.latest(ctx, like, now); err != nil {
		return Trial{}, err
	}
	payload, err := json.Marshal(s.claims(like))
	if err != nil {
		return Trial{}, err
	}
	text, err := signer.sign(accessTokenType, payload)
	if err != nil {
		return Trial{}, err
	}
	alg, err := jose.Algorithm(private.Public())
	if err != nil {
		return Trial{}, err
	}
	key, err := jose.Key{ID: k.ID, Algorithm: alg, Public: private.Public()}.MarshalJSON()
	return Trial{alg, len(text), len(key)}, err
}

// latest returns the token that was minted last among those on record and t.
func (s *Service) latest(ctx context.Context, t Token, now time.Time) (Token, error) {
	err := s.DB.View(ctx, func(tx storage.Tx) error {
		for other, err := range Since(tx, now) {
			if err != nil {
				return err
			}
			if other.IssuedAt.After(t.IssuedAt) {
				t = other
			}
		}
		return nil
	})
	return t, err
}
