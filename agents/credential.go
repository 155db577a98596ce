package agents

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
)

// A CredentialID names one credential: it is a certificate's serial number and
// a token's jti. It begins with the second at which the credential expires. So
// the identifier alone says in which partition of the store its record lies, and
// records with the same lifetime are written in rising order. 128 random bits
// follow, which make it unique and unguessable (CA/Browser Forum BR 7.1 asks for
// 64). As a serial number it is positive and has the 20 octets that RFC 5280,
// section 4.1.2.2 allows.
type CredentialID [20]byte

// epoch is where expiry seconds are counted from: they fit 31 bits until 2088.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// NewCredentialID returns a fresh identifier. It fails if expires cannot be
// right: the machine's clock is then unset, and nothing should be issued.
func NewCredentialID(expires time.Time) (CredentialID, error) {
	var id CredentialID
	s := int64(expires.Sub(epoch) / time.Second)
	if s < 1<<24 || s >= 1<<31 {
		return id, fmt.Errorf("the clock of this machine is wrong: a credential would expire at %s", expires.UTC().Format(time.RFC3339))
	}
	id[0], id[1], id[2], id[3] = byte(s>>24), byte(s>>16), byte(s>>8), byte(s)
	rand.Read(id[4:])
	return id, nil
}

// ParseCredentialID reads the 40 hexadecimal digits that String writes. It also
// accepts upper case, colons and 0x, because openssl prints serial numbers so, and a
// missing zero at the beginning, because other tools leave it out.
func ParseCredentialID(s string) (CredentialID, error) {
	var id CredentialID
	if len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X") {
		s = s[2:]
	}
	digits := make([]byte, 0, 2*len(id)+1)
	for i := 0; i < len(s) && len(digits) <= 2*len(id); i++ {
		if s[i] != ':' {
			digits = append(digits, s[i])
		}
	}
	if len(digits) == 2*len(id)-1 {
		digits = append([]byte{'0'}, digits...)
	}
	if len(digits) != 2*len(id) {
		return id, fmt.Errorf("%w credential %q: want 40 hexadecimal digits", ErrInvalid, clip(s))
	}
	if _, err := hex.Decode(id[:], digits); err != nil || id[0] >= 0x80 {
		return CredentialID{}, fmt.Errorf("%w credential %q: want 40 hexadecimal digits", ErrInvalid, clip(s))
	}
	return id, nil
}

// String returns the identifier as 40 lower-case hexadecimal digits.
func (id CredentialID) String() string {
	var digits [2 * len(id)]byte
	hex.Encode(digits[:], id[:])
	return string(digits[:])
}

// MarshalText and UnmarshalText are String and ParseCredentialID, for JSON.
func (id CredentialID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

func (id *CredentialID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseCredentialID(string(text))
	return err
}

// Key returns the identifier as a storage key.
func (id CredentialID) Key() string { return string(id[:]) }

// Expires returns the second at which the credential expires.
func (id CredentialID) Expires() time.Time {
	s := int64(id[0])<<24 | int64(id[1])<<16 | int64(id[2])<<8 | int64(id[3])
	return epoch.Add(time.Duration(s) * time.Second)
}

// A Credential is what revocation needs to know of a certificate or a token.
type Credential struct {
	ID       CredentialID
	Agent    Name
	Issuer   string // the key that signed it, by its hexadecimal key identifier
	IssuedAt time.Time
}

// ParseTTL reads the lifetime that is asked for a credential. It returns 0 for "",
// which means the agent's or the profile's.
func ParseTTL(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := clock.ParseDuration(s)
	if err != nil || d == 0 {
		return 0, fmt.Errorf("%w ttl %q: want a duration such as 5m", ErrInvalid, clip(s))
	}
	return d, nil
}
