package agents

import (
	"fmt"
	"strings"
)

// ShortLen is how many digits at least name a credential to people. They are the first of
// its random part: those before say when it expires, and are alike in credentials that
// were issued at the same time.
const ShortLen = 8

// randomAt is where the random digits of a credential's identifier begin.
const randomAt = 8

// A CredentialRef is how people name a credential: by its whole identifier, or by the
// first digits of its random part, [ShortLen] or more.
type CredentialRef struct {
	id     CredentialID // if random is ""
	random string
}

// ParseCredentialRef reads a reference. It accepts whole identifiers as
// [ParseCredentialID] does.
func ParseCredentialRef(s string) (CredentialRef, error) {
	digits := strings.ToLower(strings.ReplaceAll(s, ":", ""))
	if n := len(digits); n >= ShortLen && n <= 2*len(CredentialID{})-randomAt && strings.Trim(digits, "0123456789abcdef") == "" {
		return CredentialRef{random: digits}, nil
	}
	id, err := ParseCredentialID(s)
	if err != nil {
		err = fmt.Errorf("%w credential %q: want its 40 hexadecimal digits, or %d or more from the ninth on", ErrInvalid, clip(s), ShortLen)
	}
	return CredentialRef{id: id}, err
}

// Whole returns the identifier, if the reference has all of it.
func (r CredentialRef) Whole() (CredentialID, bool) { return r.id, r.random == "" }

// Names reports whether the reference is to the credential.
func (r CredentialRef) Names(id CredentialID) bool {
	if r.random == "" {
		return r.id == id
	}
	return strings.HasPrefix(id.String()[randomAt:], r.random)
}

// ShortIDs returns the shortest reference to each identifier that tells it from the others
// in the list. Text that is no identifier stays as it is.
func ShortIDs(ids []string) []string {
	short := make([]string, len(ids))
	for n := ShortLen; ; n++ {
		seen, twice := map[string]string{}, false
		for i, id := range ids {
			if short[i] = id; len(id) != 2*len(CredentialID{}) {
				continue
			}
			short[i] = id[randomAt:min(randomAt+n, len(id))]
			if other, ok := seen[short[i]]; ok && other != id {
				twice = true
			}
			seen[short[i]] = id
		}
		if !twice || n >= 2*len(CredentialID{})-randomAt {
			return short
		}
	}
}
