package persons

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/secret"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
)

// LinkPrefix begins the secret of every link, so that people and secret scanners recognize
// one.
const LinkPrefix = "brevet_passkey_"

// LinkLifetime is how long a link may be used.
const LinkLifetime = 10 * time.Minute

// ErrLink says that a link cannot be used. Callers tell outsiders no more than that.
var ErrLink = agents.NewRefusalOf(agents.Proof, "passkey_link", "this link is not valid (unknown, used, replaced or expired): ask for a new one", nil)

// A Link lets a person register one passkey. It is a prefix, then in base64url the second
// of its expiry and 256 random bits. Only its hash is stored.
type Link struct {
	Token   secret.Secret
	Expires time.Time
	hash    [sha256.Size]byte
}

const linkSize = 4 + 32 // octets before base64url

// NewLink returns a link that may be used for ten minutes from now.
func NewLink(now time.Time) (Link, error) {
	id, err := agents.NewCredentialID(now.Add(LinkLifetime))
	if err != nil {
		return Link{}, err
	}
	raw := make([]byte, linkSize)
	copy(raw, id[:4])
	rand.Read(raw[4:])
	return newLink(raw), nil
}

func newLink(raw []byte) Link {
	var id agents.CredentialID
	copy(id[:4], raw)
	text := LinkPrefix + strict.ToBase64(raw)
	return Link{Token: secret.New(text), Expires: id.Expires(), hash: sha256.Sum256([]byte(text))}
}

// ParseLink reads the secret of a link.
func ParseLink(text string) (Link, error) {
	body, ok := strings.CutPrefix(text, LinkPrefix)
	if !ok || len(body) != strict.Base64Len(linkSize) {
		return Link{}, ErrLink
	}
	raw, err := strict.Base64(body)
	if err != nil || raw[0] >= 0x80 {
		return Link{}, ErrLink
	}
	return newLink(raw), nil
}

// links maps the hash of a link to whose it is.
const links = storage.Partitioned[Name]("passkey_links")

// Invite makes l the one link by which a person may register a passkey.
func Invite(tx storage.Tx, n Name, l Link) (Person, error) {
	p, err := added(tx, n)
	if err == nil {
		err = p.usable()
	}
	if err != nil {
		return p, err
	}
	p.Link = bytes.Clone(l.hash[:])
	return p, errors.Join(links.Put(tx, l.Expires, string(l.hash[:]), n), p.put(tx))
}

// VoidLinks ends all links that were not used, and all challenges. It returns how many links there
// were.
func VoidLinks(tx storage.Tx) (n int, err error) {
	var waiting []Person
	for p, err := range All(tx) {
		if err != nil {
			return 0, err
		}
		if p.Link != nil || len(p.Challenges) > 0 {
			waiting = append(waiting, p)
		}
	}
	for _, p := range waiting {
		if p.Link != nil {
			n++
		}
		p.Link, p.Challenges = nil, nil
		if err := p.put(tx); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// Linked returns the person who may register a passkey by a link now. If it fails, it still
// returns whose link it was, if it was one.
func Linked(tx storage.Tx, l Link, now time.Time) (Person, error) {
	n, err := links.Get(tx, l.Expires, string(l.hash[:]))
	if errors.Is(err, storage.ErrNotFound) {
		return Person{}, ErrLink
	}
	if err != nil {
		return Person{}, err
	}
	p, err := Get(tx, n)
	if err == nil && (p.usable() != nil || !now.Before(l.Expires) || subtle.ConstantTimeCompare(p.Link, l.hash[:]) != 1) {
		err = ErrLink
	}
	return p, err
}
