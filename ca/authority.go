package ca

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/storage/keys"
)

// An Authority is the certificate of a root or an issuing CA. Package keys has
// its key and its state under the same ID.
type Authority struct {
	ID          string    `json:"id"`          // hexadecimal subject key identifier
	Root        string    `json:"root"`        // the ID of the root above it; its own for a root
	Certificate []byte    `json:"certificate"` // DER
	NotAfter    time.Time `json:"not_after"`

	// Parent is the ID of the CA that signed the certificate, if that is not the
	// root. Versions that do not know it leave out the CAs in between.
	Parent string `json:"parent,omitempty"`

	// Withdrawn is when an operator withdrew a root. It is not published any more.
	Withdrawn time.Time `json:"withdrawn,omitzero"`
}

// The common name of a root is the authority's name and one of these. After the first
// root of a purpose, the number of the root follows: names of CAs must differ.
const (
	rootSuffix      = " Root CA"
	httpsRootSuffix = " HTTPS" + rootSuffix
)

// nameIn returns the authority's name in the common name of a root.
func nameIn(cn string) string {
	if short := strings.TrimRight(cn, "0123456789"); strings.HasSuffix(short, rootSuffix+" ") {
		cn = strings.TrimSuffix(short, " ")
	}
	return strings.TrimSuffix(strings.TrimSuffix(cn, httpsRootSuffix), rootSuffix)
}

// caBackdate is how far the notBefore of a CA certificate lies before the time at
// which it is made: devices with a slow clock should trust it at once.
const caBackdate = time.Hour

// NewRoot makes the self-signed certificate of a root, which allows one CA below it
// (RFC 5280, section 4.2.1.9). Its key may also sign OCSP answers about that CA.
func NewRoot(name string, s Signer, lifetime time.Duration, now time.Time, names Constraints) (Authority, error) {
	return newRoot(keys.Root, name, 1, s, lifetime, now, names.extension())
}

// NewHTTPSRoot makes the certificate of the root of the authority's own HTTPS, which
// vouches only for the certificates of servers.
func NewHTTPSRoot(name string, s Signer, lifetime time.Duration, now time.Time, names Constraints) (Authority, error) {
	return newRoot(keys.HTTPSRoot, name, 1, s, lifetime, now, names.extension())
}

// newRoot makes the certificate of the nth root of its purpose, with name constraints, which
// may be none.
func newRoot(p keys.Purpose, name string, n int, s Signer, lifetime time.Duration, now time.Time, constraints []byte) (Authority, error) {
	t, id, err := rootTemplate(p, name, n, s.PublicKey(), s.alternative(), constraints)
	if err != nil {
		return Authority{}, err
	}
	t.NotBefore, t.NotAfter = now.Add(-caBackdate), now.Add(lifetime)
	return newAuthority(s, t, id, id)
}

// rootTemplate returns the certificate of a root without its dates and serial number, and its
// identifier.
func rootTemplate(p keys.Purpose, name string, n int, public, alternative, constraints []byte) (t *tbsCertificate, id string, err error) {
	var more []byte
	if name += rootSuffix; p == keys.HTTPSRoot {
		name, more = strings.TrimSuffix(name, rootSuffix)+httpsRootSuffix, extKeyUsage(oidServerAuth)
	}
	if n > 1 {
		name += fmt.Sprintf(" %d", n)
	}
	ski, err := keys.SubjectKeyID(public)
	if err != nil {
		return nil, "", err
	}
	second, err := alternativeKey(alternative)
	if err != nil {
		return nil, "", err
	}
	subject := commonName(name)
	return &tbsCertificate{
		Issuer: subject, Subject: subject, PublicKey: public,
		Extensions: join(keyUsage(0x86), basicConstraints(1), subjectKeyID(ski), constraints, more, second),
	}, hex.EncodeToString(ski), nil
}

// NewIssuing makes the certificate of an issuing CA with the key k, signed by
// root. It says where the root's CRL is. Its name carries the beginning of its key
// identifier, so that one issuer can be told from the next by eye.
func NewIssuing(name string, k keys.Key, root *Issuer, lifetime time.Duration, now time.Time) (Authority, error) {
	t, id, err := issuing(name, k, root)
	if err != nil {
		return Authority{}, err
	}
	t.NotBefore, t.NotAfter = now.Add(-caBackdate), now.Add(lifetime)
	if t.NotAfter.After(root.NotAfter) {
		t.NotAfter = root.NotAfter
	}
	return newAuthority(root.Signer, t, id, root.ID)
}

// issuing returns a certificate of an issuing CA without its dates and serial number, and
// its identifier.
func issuing(name string, k keys.Key, root *Issuer) (t *tbsCertificate, id string, err error) {
	ski, err := keys.SubjectKeyID(k.Public)
	if err != nil {
		return nil, "", err
	}
	more, err := alternativeKey(k.Alternative)
	if err != nil {
		return nil, "", err
	}
	kind := "Issuing CA"
	if k.Purpose == keys.HTTPSIssuer {
		kind, more = "HTTPS CA", extKeyUsage(oidServerAuth)
	}
	return &tbsCertificate{
		Issuer: root.subject, Subject: commonName(fmt.Sprintf("%s %s %x", name, kind, ski[:4])), PublicKey: k.Public,
		Extensions: join(keyUsage(0x86), basicConstraints(0), subjectKeyID(ski), root.extensions, more),
	}, hex.EncodeToString(ski), nil
}

func newAuthority(s Signer, t *tbsCertificate, id, root string) (Authority, error) {
	t.Serial = make([]byte, 16)
	rand.Read(t.Serial)
	t.Serial[0] = t.Serial[0]&0x7f | 0x40 // positive, and 16 octets long
	t.NotBefore, t.NotAfter = t.NotBefore.Truncate(time.Second), t.NotAfter.Truncate(time.Second)
	der, err := s.signCertificate(t)
	if err != nil {
		return Authority{}, fmt.Errorf("signing the certificate of CA %s: %w", id, err)
	}
	return Authority{ID: id, Root: root, Certificate: der, NotAfter: t.NotAfter}, nil
}

// RootIssuer returns a root as the issuer of issuing CAs, of its CRL, and of OCSP
// answers about those CAs. All of this is published at baseURL, as in [Config].
func RootIssuer(a Authority, s Signer, baseURL string) (*Issuer, error) {
	return newIssuer([]Authority{a}, s, strings.TrimSuffix(baseURL, "/"))
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
