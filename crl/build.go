package crl

import (
	"encoding/asn1"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
)

var (
	oidCRLNumber  = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidReasonCode = asn1.ObjectIdentifier{2, 5, 29, 21}
)

// A list is a CRL that is not signed yet. Entries are kept as DER, so that a
// long list costs a copy and one signature.
type list struct {
	Number     int64
	ThisUpdate time.Time
	NextUpdate time.Time
	Len        int

	entries []byte
	last    agents.Cutoff
	why     []byte // the end of an entry for last
}

// add lists a certificate as revoked (RFC 5280, section 5.1.2.6). The part after the
// serial number is the same for all certificates of one cutoff, and is encoded once.
// The serial number has at most 20 octets; it is positive and minimal, as all of this
// authority's are.
func (l *list) add(serial []byte, c agents.Cutoff) error {
	if l.Len == 0 || c != l.last {
		why, err := encodeReason(c)
		if err != nil {
			return err
		}
		l.last, l.why = c, why
	}
	size := 2 + len(serial) + len(l.why) // below 128, so that its length takes one octet
	l.entries = append(l.entries, 0x30, byte(size), 0x02, byte(len(serial)))
	l.entries = append(l.entries, serial...)
	l.entries = append(l.entries, l.why...)
	l.Len++
	return nil
}

// encodeReason returns the revocation date and the extensions of an entry. The reason
// "unspecified" is omitted (RFC 5280, section 5.3.1).
func encodeReason(c agents.Cutoff) ([]byte, error) {
	var b cryptobyte.Builder
	addTime(&b, c.Date())
	if c.Reason != agents.Unspecified {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidReasonCode)
				b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(c.Reason)) })
			})
		})
	}
	return b.Bytes()
}

// encode returns the DER CertificateList, signed by the issuer (RFC 5280, section 5.1).
func (l *list) encode(i *ca.Issuer) ([]byte, error) {
	return i.Signer.SignCRL(func(algorithm []byte) ([]byte, error) {
		b := cryptobyte.NewBuilder(make([]byte, 0, len(l.entries)+512))
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(1) // v2
			b.AddBytes(algorithm)
			b.AddBytes(i.Subject())
			addTime(b, l.ThisUpdate)
			addTime(b, l.NextUpdate)
			if l.Len > 0 { // an empty list is omitted, section 5.1.2.6
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(l.entries) })
			}
			b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddBytes(ca.AuthorityKeyID(i.KeyID))
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidCRLNumber)
						b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1Int64(l.Number) })
					})
				})
			})
		})
		return b.Bytes()
	})
}

// addTime writes a Time (RFC 5280, section 5.1.2.4).
func addTime(b *cryptobyte.Builder, t time.Time) {
	if t = t.UTC(); t.Year() < 2050 {
		b.AddASN1UTCTime(t)
		return
	}
	b.AddASN1GeneralizedTime(t)
}
