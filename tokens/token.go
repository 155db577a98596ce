package tokens

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// A Token is the record of a token that was minted. Only the holder has the token
// itself; the record recognizes it by its hash.
type Token struct {
	agents.Credential          // the ID is the jti, the agent is the token's holder, the issuer is the kid
	Kind              Kind     //
	Hash              [32]byte // SHA-256 of the token
	Audiences         []string
	Scopes            []agents.Scope
	Bound             *Binding // nil for a bearer token

	Subject agents.Name         // the agent that the token is for: its holder, unless that acts for another
	Actor   agents.Name         // the agent that acts for the subject (RFC 8693, section 4.1); empty if the subject does
	Parent  agents.CredentialID // the token that this one was exchanged for; zero if none was
}

// A Kind says what a token is for.
type Kind uint8

// AccessToken is for resource servers (RFC 9068).
const AccessToken Kind = 1

// A Binding ties a token to a key: the client that presents the token must prove to have it.
type Binding struct {
	Kind        BindingKind
	Thumbprint  [32]byte          // SHA-256 of the DER certificate, or of the JWK by RFC 7638
	Certificate agents.Credential // zero if the token is bound to a JWK
}

// A BindingKind says whether a Binding's thumbprint is of a certificate or a key.
type BindingKind uint8

// A token may be bound to these.
const (
	ToCertificate BindingKind = 1 // RFC 8705, section 3
	ToKey         BindingKind = 2 // a JWK (RFC 9449, section 6)
)

// minted holds the records by jti. They are dropped some time after they have
// expired.
const minted = storage.Partitioned[Token]("tokens")

// Get returns the record of a token, or an error that is
// [storage.ErrNotFound] if it was never minted or has been forgotten since it
// expired.
func Get(tx storage.Tx, jti agents.CredentialID) (Token, error) {
	t, err := minted.Get(tx, jti.Expires(), jti.Key())
	if errors.Is(err, storage.ErrNotFound) {
		return t, fmt.Errorf("token %s: %w", jti, err)
	}
	return t, err
}

// Since yields the tokens on record that expire in the hour of from or later.
func Since(tx storage.Tx, from time.Time) iter.Seq2[Token, error] { return minted.Since(tx, from) }
