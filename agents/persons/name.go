package persons

import (
	"fmt"

	"github.com/brevet-ca/brevet/agents"
)

// A Name is a person's name, as the audit log shows it. Persons and agents have names of
// their own: the same one may be both an agent's and a person's.
type Name string

const maxName = 63

// ParseName returns s as a person's name.
func ParseName(s string) (Name, error) {
	if s == "" || len(s) > maxName {
		return "", fmt.Errorf("%w operator's name %.80q: want 1 to %d characters", agents.ErrInvalid, s, maxName)
	}
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '-' && c != '_') {
			return "", fmt.Errorf("%w operator's name %.80q: only a-z and 0-9 are allowed, and after the first character also . - _", agents.ErrInvalid, s)
		}
	}
	return Name(s), nil
}

func (n Name) String() string { return string(n) }
