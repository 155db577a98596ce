package ca

import (
	"encoding/asn1"
	"net/netip"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A tbsCertificate is a certificate that is not signed yet (RFC 5280, section
// 4.1.2). Its parts are already DER: most are the same for every certificate of an
// issuer and are prepared once.
type tbsCertificate struct {
	Serial     []byte // big-endian, positive, at most 20 octets
	Issuer     []byte // Name
	NotBefore  time.Time
	NotAfter   time.Time
	Subject    []byte // Name
	PublicKey  []byte // SubjectPublicKeyInfo
	Extensions []byte // Extension after Extension
}

// marshal returns the DER of the tbsCertificate to be signed with the
// algorithm, a DER AlgorithmIdentifier.
func (t *tbsCertificate) marshal(algorithm []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 1024))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(2) // v3
		})
		addSerial(b, t.Serial)
		b.AddBytes(algorithm)
		b.AddBytes(t.Issuer)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addTime(b, t.NotBefore)
			addTime(b, t.NotAfter)
		})
		b.AddBytes(t.Subject)
		b.AddBytes(t.PublicKey)
		b.AddASN1(cbasn1.Tag(3).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(t.Extensions) })
		})
	})
	return b.Bytes()
}

// addSerial writes a positive INTEGER, minimal as DER demands.
func addSerial(b *cryptobyte.Builder, serial []byte) {
	for len(serial) > 1 && serial[0] == 0 {
		serial = serial[1:]
	}
	b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) {
		if len(serial) == 0 || serial[0] >= 0x80 {
			b.AddUint8(0)
		}
		b.AddBytes(serial)
	})
}

// addTime writes a Time: UTCTime through 2049, then GeneralizedTime (RFC 5280,
// section 4.1.2.5).
func addTime(b *cryptobyte.Builder, t time.Time) {
	if t = t.UTC(); t.Year() < 2050 {
		b.AddASN1UTCTime(t)
		return
	}
	b.AddASN1GeneralizedTime(t)
}

// object identifiers of RFC 5280, section 4.2 and appendix A, without the
// extension arc 2.5.29 where they are under it.
var (
	oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidServerAuth = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}
	oidClientAuth = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
	oidAIA        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}
	oidOCSP       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1}
	oidCAIssuers  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 2}

	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectAltName   = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidCRLDistribution  = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidAuthorityKeyID   = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}

	oidAltAlgorithm = asn1.ObjectIdentifier{2, 5, 29, 73} // ITU-T X.509 (2019), 9.8
	oidAltSignature = asn1.ObjectIdentifier{2, 5, 29, 74}
)

const (
	critical    = true
	notCritical = false
)

// extension returns the DER of one Extension whose value fill writes.
func extension(oid asn1.ObjectIdentifier, crit bool, fill cryptobyte.BuilderContinuation) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if crit {
			b.AddASN1Boolean(true)
		}
		b.AddASN1(cbasn1.OCTET_STRING, fill)
	})
	return b.BytesOrPanic()
}

// commonName returns the Name whose only attribute is the common name, or the empty
// Name for "".
func commonName(cn string) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if cn == "" {
			return
		}
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidCommonName)
				b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(cn)) })
			})
		})
	})
	return b.BytesOrPanic()
}

// keyUsage takes the bits as they stand in the first octet of the BIT STRING
// (RFC 5280, section 4.2.1.3), the highest being digitalSignature.
func keyUsage(bits byte) []byte {
	unused := byte(0)
	for bits>>unused&1 == 0 {
		unused++
	}
	return extension(oidKeyUsage, critical, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) { b.AddBytes([]byte{unused, bits}) })
	})
}

func extKeyUsage(usages ...asn1.ObjectIdentifier) []byte {
	return extension(oidExtKeyUsage, notCritical, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, u := range usages {
				b.AddASN1ObjectIdentifier(u)
			}
		})
	})
}

// tlsFeature says that servers staple an OCSP response (RFC 7633).
func tlsFeature() []byte {
	return extension(oidTLSFeature, notCritical, func(b *cryptobyte.Builder) { b.AddBytes(statusRequest) })
}

func basicConstraints(pathLen int64) []byte {
	return extension(oidBasicConstraints, critical, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Boolean(true)
			b.AddASN1Int64(pathLen)
		})
	})
}

func subjectKeyID(id []byte) []byte {
	return extension(oidSubjectKeyID, notCritical, func(b *cryptobyte.Builder) { b.AddASN1OctetString(id) })
}

// AuthorityKeyID returns the extension that names the issuing key in
// certificates and CRLs (RFC 5280, sections 4.2.1.1 and 5.2.1).
func AuthorityKeyID(id []byte) []byte {
	return extension(oidAuthorityKeyID, notCritical, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addContext(b, 0, id)
		})
	})
}

func crlDistribution(url string) []byte {
	return extension(oidCRLDistribution, notCritical, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
						addContext(b, 6, []byte(url))
					})
				})
			})
		})
	})
}

// authorityInfo says where OCSP is answered, if it is, and where the issuer's
// certificate is (RFC 5280, section 4.2.2.1).
func authorityInfo(ocspURL, issuerURL string) []byte {
	return extension(oidAIA, notCritical, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if ocspURL != "" {
				addAccess(b, oidOCSP, ocspURL)
			}
			addAccess(b, oidCAIssuers, issuerURL)
		})
	})
}

func addAccess(b *cryptobyte.Builder, method asn1.ObjectIdentifier, url string) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(method)
		addContext(b, 6, []byte(url))
	})
}

// subjectAltName lists a URI, DNS names and addresses. It must be critical if the
// subject is empty (RFC 5280, section 4.2.1.6).
func subjectAltName(crit bool, uri string, dns []string, ips []netip.Addr) []byte {
	return extension(oidSubjectAltName, crit, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addContext(b, 6, []byte(uri))
			for _, name := range dns {
				addContext(b, 2, []byte(name))
			}
			for _, ip := range ips {
				addContext(b, 7, ip.AsSlice())
			}
		})
	})
}

// addContext writes a primitive value under an implicit tag.
func addContext(b *cryptobyte.Builder, tag uint8, value []byte) {
	b.AddASN1(cbasn1.Tag(tag).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(value) })
}
