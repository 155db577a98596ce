package persons

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons/passkey"
	"github.com/brevet-ca/brevet/storage"
)

// ChallengeLifetime is how long a challenge may be answered.
const ChallengeLifetime = 5 * time.Minute

// maxChallenges is how many challenges a person may have at once. A new one takes the place of
// the oldest.
const maxChallenges = 8

var (
	// ErrAnswer says that nothing was approved by an assertion. Callers tell outsiders no more than
	// that; the reason follows for the log.
	ErrAnswer = agents.NewRefusalOf(agents.Proof, "passkey_assertion", "this approval is not valid (by an unknown passkey, for something else, answered already or too late): try again", nil)
	// ErrNoPasskey says that a person cannot answer a challenge.
	ErrNoPasskey = agents.NewRefusal("passkey_missing", "this operator has no passkey: an admin gives a link for one by brevet operator enroll --passkey", nil)
)

// A Challenge is what a person answers with a passkey in order to approve one thing, once. It is
// stored as JSON, as a part of [Person].
type Challenge struct {
	Nonce   []byte    `json:"nonce"`  // 256 random bits
	Digest  []byte    `json:"digest"` // SHA-256 of what is to be approved
	Expires time.Time `json:"expires"`
}

// NewChallenge returns a challenge that may be answered for five minutes from now.
func NewChallenge(digest [sha256.Size]byte, now time.Time) Challenge {
	c := Challenge{Nonce: make([]byte, 32), Digest: digest[:], Expires: now.Add(ChallengeLifetime).UTC()}
	rand.Read(c.Nonce)
	return c
}

// Value returns what the browser is given for n as the challenge. It depends on what is to be
// approved and by whom, so the signature shows both to anybody who has the nonce.
func (c Challenge) Value(n Name) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "brevet approval\x00%s\x00", n)
	h.Write(c.Digest)
	h.Write(c.Nonce)
	return h.Sum(nil)
}

// Ask lets a person answer a challenge.
func Ask(tx storage.Tx, n Name, c Challenge, now time.Time) (Person, error) {
	p, err := Usable(tx, n)
	if err == nil && len(p.Passkeys) == 0 {
		err = fmt.Errorf("%w: %s", ErrNoPasskey, n)
	}
	if err != nil {
		return p, err
	}
	open := slices.DeleteFunc(slices.Clone(p.Challenges), func(c Challenge) bool { return !now.Before(c.Expires) })
	open = append(open, c)
	p.Challenges = open[max(len(open)-maxChallenges, 0):]
	return p, p.put(tx)
}

// Answer uses up the challenge that an assertion answers, and returns who approved the thing that
// has the digest, and the passkey that they used. It is called in the transaction that records
// the approval. If it fails, it still returns whose passkey it was, if it was one, and the
// challenge stays as it was.
func Answer(tx storage.Tx, td agents.TrustDomain, site passkey.Site, digest [sha256.Size]byte, a passkey.Assertion, now time.Time) (Person, passkey.Key, error) {
	p, at, err := keyOf(tx, a.ID)
	if err != nil {
		return p, passkey.Key{}, err
	}
	c, err := p.challenge(digest, a, now)
	key := p.Passkeys[at].Key
	if err == nil {
		key, err = site.Verify(p.Challenges[c].Value(p.Name), UserHandle(td, p.Name), key, a)
	}
	if err != nil {
		return p, passkey.Key{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	p.Passkeys, p.Challenges = slices.Clone(p.Passkeys), slices.Delete(slices.Clone(p.Challenges), c, c+1)
	p.Passkeys[at].Key = key
	return p, key, p.put(tx)
}

// keyOf returns the person who may act now and has a passkey, and where it is among theirs.
func keyOf(tx storage.Tx, id []byte) (p Person, at int, err error) {
	n, err := owners.Get(tx, string(id))
	if errors.Is(err, storage.ErrNotFound) {
		return p, 0, fmt.Errorf("%w: the passkey is unknown", ErrAnswer)
	}
	if err != nil {
		return p, 0, err
	}
	p, err = Usable(tx, n)
	at = slices.IndexFunc(p.Passkeys, func(k Passkey) bool { return bytes.Equal(k.ID, id) })
	switch {
	case errors.Is(err, ErrSuspended):
		err = fmt.Errorf("%w: %v", ErrAnswer, err) // not wrapped: the caller may be a stranger
	case err == nil && at < 0:
		err = fmt.Errorf("%w: the passkey was removed", ErrAnswer)
	}
	return p, at, err
}

// challenge returns which challenge an assertion claims to answer.
func (p Person) challenge(digest [sha256.Size]byte, a passkey.Assertion, now time.Time) (int, error) {
	value, err := a.Challenge()
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(p.Challenges, func(c Challenge) bool { return subtle.ConstantTimeCompare(c.Value(p.Name), value) == 1 })
	switch {
	case i < 0:
		err = errors.New("the challenge is unknown, or was answered")
	case !now.Before(p.Challenges[i].Expires):
		err = errors.New("it comes too late")
	case !bytes.Equal(p.Challenges[i].Digest, digest[:]):
		err = errors.New("it is about something else")
	}
	return i, err
}
