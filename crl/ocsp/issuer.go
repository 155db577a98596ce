package ocsp

import (
	"bytes"
	"crypto"
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/ca"
)

// hashAlgorithms are those by which a request may name an issuer. Most clients use
// SHA-1 (RFC 5019, section 2.1.1). Its weakness does no harm: the answer is signed and
// is about a certificate on record.
var hashAlgorithms = [...]struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, crypto.SHA1},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
}

// An issuer is one that we answer for, with the hashes by which requests name it.
type issuer struct {
	*ca.Issuer
	hashed [len(hashAlgorithms)]struct{ name, key []byte }
}

func newIssuer(i *ca.Issuer) (*issuer, error) {
	cert, err := x509.ParseCertificate(i.Certificate())
	if err != nil {
		return nil, err
	}
	spki := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	var key []byte // without tag, length and unused bits (RFC 6960, section 4.1.1)
	if !spki.ReadASN1(&spki, cbasn1.SEQUENCE) || !spki.SkipASN1(cbasn1.SEQUENCE) || !spki.ReadASN1BitStringAsBytes(&key) {
		return nil, errors.New("its public key cannot be read")
	}
	out := &issuer{Issuer: i}
	for n, a := range hashAlgorithms {
		out.hashed[n].name, out.hashed[n].key = digest(a.hash, i.Subject()), digest(a.hash, key)
	}
	return out, nil
}

func digest(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

// issuer returns the issuer that a request names, or nil if it is not ours.
func (r *Responder) issuer(id certID) (*issuer, error) {
	if id.hash < 0 {
		return nil, nil
	}
	all, err := r.known()
	for _, i := range all {
		if bytes.Equal(i.hashed[id.hash].key, id.keyHash) && bytes.Equal(i.hashed[id.hash].name, id.nameHash) {
			return i, nil
		}
	}
	return nil, err
}

// known returns the active and recently retired issuers. Each request searches them;
// they are rebuilt when the CA's issuers change.
func (r *Responder) known() ([]*issuer, error) {
	at := r.ca.Issuers()
	last := r.issuers.Load()
	if last != nil && same(*last, at) {
		return *last, nil
	}
	var all []*issuer
	for _, i := range at {
		out, err := newIssuer(i)
		if err != nil {
			return nil, fmt.Errorf("answering for issuer %s: %w", i.ID, err)
		}
		all = append(all, out)
	}
	if !r.issuers.CompareAndSwap(last, &all) {
		// Another request was quicker. Answers are kept by issuer, so both must use
		// the same ones, or each would sign.
		if theirs := *r.issuers.Load(); same(theirs, at) {
			return theirs, nil
		}
	}
	return all, nil
}

func same(last []*issuer, at []*ca.Issuer) bool {
	if len(last) != len(at) {
		return false
	}
	for n := range at {
		if last[n].Issuer != at[n] {
			return false
		}
	}
	return true
}
