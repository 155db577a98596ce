package ocsp

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
)

// aheadHashes is how many of hashAlgorithms a question about an issuer may use: SHA-1
// and SHA-256 (RFC 9919, section 3.1.1).
const aheadHashes = 2

// Ahead signs the answers of a root about its issuers. The root's key is not here when
// somebody asks, so each answer is signed for each way to ask. It signs none if
// the root's keyUsage forbids it, or if an issuer has ended.
func Ahead(root *ca.Issuer, about []crl.Statement, list crl.RootList, date time.Time) ([]crl.Answer, error) {
	facts, err := facts(root, about, list, date)
	var answers []crl.Answer
	for _, f := range facts {
		r := &Response{ProducedAt: date, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate}
		if err := f.signInto(r); err != nil {
			return nil, err
		}
		answers = append(answers, crl.Answer{CertID: []byte(f.certID), DER: r.DER})
	}
	return answers, err
}

// facts returns what a root states about its issuers, once for each way to ask.
func facts(root *ca.Issuer, about []crl.Statement, list crl.RootList, date time.Time) (all []fact, err error) {
	if !root.SignsOCSP {
		return nil, nil
	}
	i, err := newIssuer(root)
	if err != nil {
		return nil, err
	}
	for _, s := range about {
		if !date.Before(s.NotAfter) {
			continue
		}
		for hash := range aheadHashes {
			for _, null := range []bool{true, false} {
				id, err := i.certID(hash, null, s.Serial)
				if err != nil {
					return nil, err
				}
				f := fact{issuer: i, certID: string(id)}
				if s.Revoked {
					f.status = status{true, min(s.Cutoff.Date().Unix(), list.ThisUpdate.Unix()), s.Cutoff.Reason}
				}
				all = append(all, f)
			}
		}
	}
	return all, nil
}

// certID returns the DER CertID of a certificate of i. The parameters of the hash
// algorithm are NULL or absent (RFC 5754, section 2).
func (i *issuer) certID(hash int, null bool, serial []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(hashAlgorithms[hash].oid)
			if null {
				b.AddASN1NULL()
			}
		})
		b.AddASN1OctetString(i.hashed[hash].name)
		b.AddASN1OctetString(i.hashed[hash].key)
		b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(serial) })
	})
	return b.Bytes()
}

// ahead returns the answer that a root signed to this question, or nil.
func (r *Responder) ahead(id certID) *Response {
	a, of := r.lists.Answer(id.der)
	if a == nil {
		return nil
	}
	return &Response{DER: a.DER, ProducedAt: of.Signed, ThisUpdate: of.Current.ThisUpdate, NextUpdate: of.Current.NextUpdate, ETag: etag(a.DER)}
}
