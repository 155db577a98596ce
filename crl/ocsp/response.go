package ocsp

import (
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
)

var oidBasic = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1} // id-pkix-ocsp-basic

// A Response is a signed answer.
//
// It may be stapled or cached until NextUpdate, but no longer than a CRL made at the
// same time. An attacker who controls which of the two a relying party sees, such as
// the holder of a stolen key, can hide a revocation for that long, so both need the
// same bound. NextUpdate is never after the end of the certificate, because some
// servers that staple refuse such an answer (CertMagic, in Caddy).
type Response struct {
	DER        []byte // OCSPResponse
	ProducedAt time.Time
	ThisUpdate time.Time
	NextUpdate time.Time
	ETag       string
}

// sign returns the answer that states f, made at date. It is backdated like
// certificates, for relying parties whose clock is a little slow: they should reject an
// answer from the future (RFC 6960, section 4.2.2.1). The statement stays true: a
// certificate that is good now was good then.
func (f fact) sign(date time.Time) (*Response, error) {
	this := date.Add(-ca.Backdate)
	if at := time.Unix(f.at, 0).UTC(); f.revoked && this.Before(at) {
		this = at
	}
	r := &Response{ProducedAt: date, ThisUpdate: this, NextUpdate: f.bound(date, this.Add(crl.Lifetime))}
	return r, f.signInto(r)
}

// signInto adds to r the answer that states f at r's times.
func (f fact) signInto(r *Response) error {
	data, err := f.responseData(r)
	if err != nil {
		return err
	}
	basic, err := f.issuer.Signer.SignOCSP(data)
	if err != nil {
		return fmt.Errorf("signing an OCSP response of issuer %s: %w", f.issuer.ID, err)
	}
	if r.DER, err = successful(basic); err != nil {
		return err
	}
	r.ETag = etag(r.DER)
	return nil
}

func etag(der []byte) string {
	sum := sha256.Sum256(der)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// bound returns t, or the end of the certificate if that is earlier and still ahead.
func (f fact) bound(date, t time.Time) time.Time {
	if end := f.serial.Expires(); end.After(date) && end.Before(t) {
		return end
	}
	return t
}

// responseData returns the DER ResponseData (RFC 6960, section 4.2.1). The CertID is
// copied from the request unchanged.
func (f fact) responseData(r *Response) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 256))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		// The responder is named by its name: GnuTLS does not find it by its key.
		b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { b.AddBytes(f.issuer.Subject()) })
		b.AddASN1GeneralizedTime(r.ProducedAt)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes([]byte(f.certID))
				f.addStatus(b)
				b.AddASN1GeneralizedTime(r.ThisUpdate)
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(r.NextUpdate) })
			})
		})
	})
	return b.Bytes()
}

// addStatus writes a CertStatus. As on the CRL, the reason "unspecified" is omitted.
func (s status) addStatus(b *cryptobyte.Builder) {
	if !s.revoked {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
		return
	}
	b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { // implicit, of a SEQUENCE
		b.AddASN1GeneralizedTime(time.Unix(s.at, 0).UTC())
		if s.reason != agents.Unspecified {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.reason)) })
		}
	})
}

// successful wraps a DER BasicOCSPResponse.
func successful(basic []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, len(basic)+64))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(0)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidBasic)
				b.AddASN1OctetString(basic)
			})
		})
	})
	return b.Bytes()
}

// An errorStatus is an OCSPResponseStatus that is not successful.
type errorStatus byte

const (
	malformedRequest errorStatus = 1
	internalError    errorStatus = 2
	unauthorized     errorStatus = 6
)

// der returns the OCSPResponse, which has only the status and no signature.
func (s errorStatus) der() []byte { return []byte{0x30, 3, 0x0a, 1, byte(s)} }
