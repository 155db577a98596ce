package agents

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents/secret"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
)

// ErrBinding says that a key of an external account binding cannot be used.
// Callers tell outsiders no more than that.
var ErrBinding = NewRefusalOf(Proof, "binding", "external account binding key is not valid (unknown, used, replaced or expired)", nil)

// A Binding is the key of an external account binding (RFC 8555, section
// 7.3.4). An ACME client uses it as other clients use an enrollment token. It is
// made with each [Enrollment] and expires with it, but each is used up by itself:
// an agent may enroll and open an account. The store holds neither the identifier
// nor the MAC key, only a salt: the MAC key is computed from it and the identifier.
type Binding struct {
	KeyID  string        // base64url of the second of its expiry and 128 random bits
	MACKey secret.Secret // base64url, without padding, of a mark and 256 bits, for HMAC-SHA256
	salt   [32]byte
}

// keyIDSize is how many octets a key identifier has before base64url.
const keyIDSize = 4 + 16

// newBinding returns a key that may be used until the second with which expires
// begins (a CredentialID begins in the same way).
func newBinding(expires [4]byte) Binding {
	var raw [keyIDSize]byte
	copy(raw[:], expires[:])
	rand.Read(raw[len(expires):])
	b := Binding{KeyID: strict.ToBase64(raw[:])} // never begins with a hyphen before 2088: ACME clients would take it for a flag
	rand.Read(b.salt[:])
	b.MACKey = secret.New(strict.ToBase64(bound{Salt: b.salt[:], Marked: true}.macKey(b.KeyID)))
	return b
}

// BindingPrefix begins every MAC key, so that people and secret scanners recognize one. It
// is a whole number of octets in base64url.
const BindingPrefix = "brevet_eab_1"

// bindingMark are the octets that BindingPrefix stands for.
var bindingMark = sync.OnceValue(func() []byte {
	raw, err := strict.Base64(BindingPrefix)
	if err != nil {
		panic(err)
	}
	return raw
})

// macSize is how long a MAC key with its mark is, in octets. dehydrated prints keys in
// lines of 16 octets, and fails if the last line is not whole.
const macSize = 48

func (b bound) macKey(kid string) []byte {
	hash := sha256.New
	if b.Marked {
		hash = sha512.New384
	}
	h := hmac.New(hash, []byte(kid))
	h.Write(b.Salt)
	if !b.Marked {
		return h.Sum(nil)
	}
	return h.Sum(slices.Clone(bindingMark()))[:macSize]
}

// keyID is a key identifier as the store knows it.
type keyID struct {
	expires time.Time
	hash    [32]byte
}

// parseKeyID reads the identifier of a binding as it stands in a JWS.
func parseKeyID(kid string) (keyID, error) {
	if len(kid) != strict.Base64Len(keyIDSize) {
		return keyID{}, ErrBinding
	}
	raw, err := strict.Base64(kid)
	if err != nil || raw[0] >= 0x80 {
		return keyID{}, ErrBinding
	}
	var id CredentialID
	copy(id[:4], raw)
	return keyID{expires: id.Expires(), hash: sha256.Sum256([]byte(kid))}, nil
}

// bound is the record of a binding.
type bound struct {
	Agent Name   `json:"agent"`
	Salt  []byte `json:"salt"`

	// Marked says that the MAC key begins with bindingMark. Records of version 0.1 do not
	// have it.
	Marked bool `json:"marked,omitempty"`
}

// bindings maps the hash of a key identifier to the record of its binding. Used
// ones stay until their hour is past, so that a second use can be told from a guess.
const bindings = storage.Partitioned[bound]("bindings")

// keep records b as the agent's.
func (b Binding) keep(tx storage.Tx, n Name) (hash []byte, err error) {
	id, err := parseKeyID(b.KeyID)
	if err != nil {
		return nil, err
	}
	return id.hash[:], bindings.Put(tx, id.expires, string(id.hash[:]), bound{n, b.salt[:], true})
}

// Bindable returns the agent that may open an account with the key now, and the MAC key,
// raw. The caller must still check that the client knows the MAC key. If Bindable fails,
// it still returns the agent that the key was made for, unless the key was never given
// out, and a MAC key, for a check whose result does not matter: a stranger must not be
// able to tell a key that exists from one that does not by the time of the answer.
func Bindable(tx storage.Tx, kid string, now time.Time) (a Agent, mac []byte, err error) {
	id, err := parseKeyID(kid)
	if err != nil {
		return a, nil, err
	}
	b, unknown := bindings.Get(tx, id.expires, string(id.hash[:]))
	if unknown != nil && !errors.Is(unknown, storage.ErrNotFound) {
		return a, nil, unknown
	}
	b.Marked = b.Marked || unknown != nil // the check is then of the same work
	mac = b.macKey(kid)
	a, err = Get(tx, cmp.Or(b.Agent, Authority))
	switch {
	case unknown != nil && (err == nil || errors.Is(err, ErrUnknown)):
		return Agent{}, mac, ErrBinding
	case err != nil:
		return Agent{}, nil, err
	case !now.Before(id.expires):
		return a, mac, fmt.Errorf("%w: it expired at %s", ErrBinding, id.expires.Format(time.RFC3339))
	case id.expires.After(now.Add(EnrollmentLifetime + ClockTolerance)):
		return a, mac, fmt.Errorf("%w: it was made while the clock was ahead", ErrBinding)
	case subtle.ConstantTimeCompare(a.Binding, id.hash[:]) != 1:
		return a, mac, fmt.Errorf("%w: it was used or replaced", ErrBinding)
	}
	if err := a.Usable(now); err != nil {
		return a, mac, fmt.Errorf("%w: %w", ErrBinding, err)
	}
	return a, mac, nil
}

// Bind uses the key up. Call it in the transaction that records the account, so
// that a key opens only one account.
func Bind(tx storage.Tx, kid string, now time.Time) error {
	a, _, err := Bindable(tx, kid, now)
	if err != nil {
		return err
	}
	a.Binding = nil
	return a.put(tx)
}
