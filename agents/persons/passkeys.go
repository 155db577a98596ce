package persons

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons/passkey"
	"github.com/brevet-ca/brevet/storage"
)

// A Passkey is one that a person registered.
type Passkey struct {
	passkey.Key
	Added time.Time `json:"added"`
}

// maxPasskeys is how many passkeys a person may have.
const maxPasskeys = 8

// errKnown says that somebody has the passkey already (Web Authentication, section 7.1, step
// 26).
var errKnown = fmt.Errorf("%w passkey: it is registered already", agents.ErrInvalid)

// owners maps the credential ID of each passkey to whose it is.
var owners = storage.Table[Name]("passkeys")

// UserHandle returns the number by which an authenticator knows a person. It does not tell who
// they are (Web Authentication, section 14.6.1).
func UserHandle(td agents.TrustDomain, n Name) []byte {
	sum := sha256.Sum256([]byte(string(td) + "/operator/" + string(n)))
	return sum[:]
}

// Register uses a link up and records the passkey that the person registers by it.
func Register(tx storage.Tx, l Link, k passkey.Key, now time.Time) (Person, error) {
	p, err := Linked(tx, l, now)
	if err != nil {
		return p, err
	}
	if len(p.Passkeys) >= maxPasskeys {
		return p, fmt.Errorf("%w passkey: %s has %d already; an admin removes one with brevet operator set %s --remove-passkey ID", agents.ErrInvalid, p.Name, maxPasskeys, p.Name)
	}
	if err := owners.Create(tx, string(k.ID), p.Name); err != nil {
		if errors.Is(err, storage.ErrExists) {
			err = errKnown
		}
		return p, err
	}
	p.Link = nil
	p.Passkeys = append(slices.Clip(p.Passkeys), Passkey{k, now.UTC()})
	return p, p.put(tx)
}

// RemovePasskey ends a passkey of a person.
func RemovePasskey(tx storage.Tx, n Name, id []byte) (Person, error) {
	p, err := Get(tx, n)
	if err != nil {
		return p, err
	}
	if !slices.ContainsFunc(p.Passkeys, func(k Passkey) bool { return bytes.Equal(k.ID, id) }) {
		return p, fmt.Errorf("%w with this passkey: brevet operator show %s lists theirs", ErrUnknown, n)
	}
	if p, err = p.without(tx, id); err != nil {
		return p, err
	}
	return p, p.put(tx)
}

// without returns p without a passkey, which anybody may register then.
func (p Person) without(tx storage.Tx, id []byte) (Person, error) {
	var left []Passkey
	for _, k := range p.Passkeys {
		if !bytes.Equal(k.ID, id) {
			left = append(left, k)
		}
	}
	p.Passkeys = left
	return p, owners.Delete(tx, string(id))
}
