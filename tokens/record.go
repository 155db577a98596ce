package tokens

import (
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// A Token is the record of an access token that was minted. The token itself
// is its holder's; its hash recognizes it.
type Token struct {
	agents.Credential          // the ID is the jti, the issuer the kid
	Hash              [32]byte // SHA-256 of the token
	Audiences         []string
	Scopes            []agents.Scope
	Bound             *Binding // nil for a bearer token
}

// A Binding ties a token to the certificate it was asked for with: who
// presents the token must present the certificate (RFC 8705, section 3).
type Binding struct {
	Certificate agents.Credential
	Thumbprint  [32]byte
}

// minted holds the records by jti. They are dropped some time after they have
// expired.
const minted = storage.Partitioned[Token]("tokens")

// recordVersion is the first octet of a stored Token. What follows it is
// fixed: a change of layout takes a new version, and both are read until the
// old records have expired.
const recordVersion = 1

// MarshalBinary returns the stored form.
func (t Token) MarshalBinary() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 256))
	b.AddUint8(recordVersion)
	addCredential(b, t.Credential)
	b.AddBytes(t.Hash[:])
	addText(b, agents.JoinScopes(t.Scopes))
	b.AddUint8(uint8(len(t.Audiences)))
	for _, a := range t.Audiences {
		addText(b, a)
	}
	if t.Bound != nil {
		b.AddBytes(t.Bound.Thumbprint[:])
		addCredential(b, t.Bound.Certificate)
	}
	return b.Bytes()
}

func addCredential(b *cryptobyte.Builder, c agents.Credential) {
	issuer, err := hex.DecodeString(c.Issuer)
	if err != nil {
		b.SetError(fmt.Errorf("issuer %q: %w", c.Issuer, err))
		return
	}
	b.AddBytes(c.ID[:])
	b.AddUint64(uint64(c.IssuedAt.UnixNano()))
	addText(b, string(issuer))
	addText(b, string(c.Agent))
}

func addText(b *cryptobyte.Builder, s string) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) })
}

var errCutOff = errors.New("token record is cut off")

// UnmarshalBinary reads what MarshalBinary wrote.
func (t *Token) UnmarshalBinary(data []byte) error {
	s := cryptobyte.String(data)
	var version, audiences uint8
	var scopes string
	if !s.ReadUint8(&version) || version != recordVersion {
		return fmt.Errorf("token record of version %d: this program reads version %d", version, recordVersion)
	}
	*t = Token{}
	if !readCredential(&s, &t.Credential) || !s.CopyBytes(t.Hash[:]) || !readText(&s, &scopes) || !s.ReadUint8(&audiences) {
		return errCutOff
	}
	var err error
	if t.Scopes, err = agents.ParseScopes(scopes); err != nil {
		return err
	}
	t.Audiences = make([]string, audiences)
	for i := range t.Audiences {
		if !readText(&s, &t.Audiences[i]) {
			return errCutOff
		}
	}
	if s.Empty() {
		return nil
	}
	t.Bound = new(Binding)
	if !s.CopyBytes(t.Bound.Thumbprint[:]) || !readCredential(&s, &t.Bound.Certificate) || !s.Empty() {
		return errCutOff
	}
	return nil
}

func readCredential(s *cryptobyte.String, c *agents.Credential) bool {
	var issued uint64
	var issuer, agent cryptobyte.String
	if !s.CopyBytes(c.ID[:]) || !s.ReadUint64(&issued) || !s.ReadUint16LengthPrefixed(&issuer) || !s.ReadUint16LengthPrefixed(&agent) {
		return false
	}
	c.IssuedAt = time.Unix(0, int64(issued)).UTC()
	c.Issuer, c.Agent = hex.EncodeToString(issuer), agents.Name(agent)
	return true
}

func readText(s *cryptobyte.String, text *string) bool {
	var raw cryptobyte.String
	ok := s.ReadUint16LengthPrefixed(&raw)
	*text = string(raw)
	return ok
}

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
