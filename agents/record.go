package agents

import (
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// The records of certificates and of tokens, and the list of an agent's latest
// certificates, all hold a Credential. It is stored in the same form everywhere:
// its identifier; when it was issued, in nanoseconds since 1970; then its issuer
// and its agent, each with a length of two octets before it. A record may have
// parts of a fixed size in the middle. The form never changes, because the
// version of each record covers it.

// AddTo appends the stored form of c, with the parts between in the middle.
func (c Credential) AddTo(b *cryptobyte.Builder, between ...[]byte) {
	issuer, err := hex.DecodeString(c.Issuer)
	if err != nil {
		b.SetError(fmt.Errorf("issuer %q: %w", c.Issuer, err))
		return
	}
	b.AddBytes(c.ID[:])
	b.AddUint64(uint64(c.IssuedAt.UnixNano()))
	for _, part := range between {
		b.AddBytes(part)
	}
	AddText(b, issuer)
	AddText(b, c.Agent)
}

// ReadFrom reads what AddTo appended, the parts between too. It reports whether
// everything was there.
func (c *Credential) ReadFrom(s *cryptobyte.String, between ...[]byte) bool {
	var issued uint64
	var issuer, agent cryptobyte.String
	if !s.CopyBytes(c.ID[:]) || !s.ReadUint64(&issued) {
		return false
	}
	for _, part := range between {
		if !s.CopyBytes(part) {
			return false
		}
	}
	if !s.ReadUint16LengthPrefixed(&issuer) || !s.ReadUint16LengthPrefixed(&agent) {
		return false
	}
	c.IssuedAt = time.Unix(0, int64(issued)).UTC()
	c.Issuer, c.Agent = hex.EncodeToString(issuer), Name(agent)
	return true
}

// skipCredential is ReadFrom for callers that want nothing of it.
func skipCredential(s *cryptobyte.String) bool {
	var part cryptobyte.String
	return s.Skip(len(CredentialID{})+8) && s.ReadUint16LengthPrefixed(&part) && s.ReadUint16LengthPrefixed(&part)
}

// AddText appends a text to a record, with a length of two octets before it.
func AddText[T ~string | ~[]byte](b *cryptobyte.Builder, s T) {
	if len(s) > math.MaxUint16 {
		b.SetError(fmt.Errorf("a text of %d octets does not fit a record", len(s)))
		return
	}
	b.AddUint16(uint16(len(s)))
	b.AddBytes([]byte(s))
}

// ReadText reads what AddText appended.
func ReadText[T ~string](s *cryptobyte.String, text *T) bool {
	var raw cryptobyte.String
	ok := s.ReadUint16LengthPrefixed(&raw)
	*text = T(raw)
	return ok
}
