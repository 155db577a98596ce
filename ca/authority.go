package ca

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// ctxStart is for the short reads of a start, which nobody cancels.
var ctxStart = context.Background()

// An Authority is the certificate of a root or an issuing CA. Its key is the
// one of the same ID in package keys, and so is its state.
type Authority struct {
	ID          string    `json:"id"`          // hexadecimal subject key identifier
	Root        string    `json:"root"`        // the ID of the root above it; its own for a root
	Certificate []byte    `json:"certificate"` // DER
	NotAfter    time.Time `json:"not_after"`
}

// authorities holds every root and issuing CA that ever was.
const authorities = storage.Table[Authority]("authorities")

func getAuthority(tx storage.Tx, id string) (Authority, error) {
	a, err := authorities.Get(tx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return a, fmt.Errorf("there is no certificate for the key %s: %w", id, err)
	}
	return a, err
}

// rootSuffix ends the common name of a root, after the authority's name.
const rootSuffix = " Root CA"

// caBackdate is how far before its making a CA certificate is valid: devices
// with a slow clock should trust it at once.
const caBackdate = time.Hour

// NewRoot makes the self-signed certificate of a root (RFC 5280, section 4.2.1.9:
// below it stands one more CA).
func NewRoot(name string, s Signer, lifetime time.Duration, now time.Time) (Authority, error) {
	id, err := keys.SubjectKeyID(s.PublicKey())
	if err != nil {
		return Authority{}, err
	}
	subject := commonName(name + rootSuffix)
	return newAuthority(s, &TBSCertificate{
		Issuer: subject, Subject: subject, PublicKey: s.PublicKey(),
		NotBefore: now.Add(-caBackdate), NotAfter: now.Add(lifetime),
		Extensions: join(keyUsage(0x06), basicConstraints(1), subjectKeyID(id)),
	}, hex.EncodeToString(id), hex.EncodeToString(id))
}

// NewIssuing makes the certificate of an issuing CA with the public key spki,
// signed by root. Its name carries the beginning of its key identifier, so
// that one issuer can be told from the next by eye.
func NewIssuing(name string, spki []byte, root *Issuer, lifetime time.Duration, now time.Time) (Authority, error) {
	id, err := keys.SubjectKeyID(spki)
	if err != nil {
		return Authority{}, err
	}
	end := now.Add(lifetime)
	if end.After(root.NotAfter) {
		end = root.NotAfter
	}
	return newAuthority(root.Signer, &TBSCertificate{
		Issuer: root.subject, Subject: commonName(fmt.Sprintf("%s Issuing CA %x", name, id[:4])), PublicKey: spki,
		NotBefore: now.Add(-caBackdate), NotAfter: end,
		Extensions: join(keyUsage(0x86), basicConstraints(0), subjectKeyID(id), AuthorityKeyID(root.KeyID)),
	}, hex.EncodeToString(id), root.ID)
}

func newAuthority(s Signer, t *TBSCertificate, id, root string) (Authority, error) {
	t.Serial = make([]byte, 16)
	rand.Read(t.Serial)
	t.Serial[0] = t.Serial[0]&0x7f | 0x40 // positive, and 16 octets long
	t.NotBefore, t.NotAfter = t.NotBefore.Truncate(time.Second), t.NotAfter.Truncate(time.Second)
	der, err := s.SignCertificate(t)
	if err != nil {
		return Authority{}, fmt.Errorf("signing the certificate of CA %s: %w", id, err)
	}
	return Authority{ID: id, Root: root, Certificate: der, NotAfter: t.NotAfter}, nil
}

// RootIssuer returns a root as the issuer of issuing CAs.
func RootIssuer(a Authority, s Signer) (*Issuer, error) { return newIssuer(a, s, "") }

// PutAuthority records a root or an issuing CA.
func PutAuthority(tx storage.Tx, a Authority) error { return authorities.Put(tx, a.ID, a) }

// Authorities returns every root and issuing CA on record.
func Authorities(tx storage.Tx) (roots, issuers []Authority, err error) {
	for a, err := range authorities.Scan(tx, "") {
		if err != nil {
			return nil, nil, err
		}
		if a.ID == a.Root {
			roots = append(roots, a)
		} else {
			issuers = append(issuers, a)
		}
	}
	return roots, issuers, nil
}

// PEM returns the certificates as PEM blocks, one after the other.
func PEM(certificates ...[]byte) []byte {
	var text []byte
	for _, der := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
