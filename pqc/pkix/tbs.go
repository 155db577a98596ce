package pkix

import (
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The tags under which extensions end a TBSCertificate and a TBSCertList (RFC 5280,
// sections 4.1 and 5.1).
const (
	certificateExtensions = cbasn1.Tag(3 | 0x80 | 0x20)
	crlExtensions         = cbasn1.Tag(0 | 0x80 | 0x20)
)

// A tbs is a TBSCertificate or a TBSCertList in the parts that an alternative
// signature tells apart, each DER as it stood.
type tbs struct {
	tag        cbasn1.Tag // of the extensions
	head       []byte     // version, and the serial number of a certificate
	signature  []byte     // the signature field, an AlgorithmIdentifier
	body       []byte     // all up to the extensions
	extensions []byte     // Extension after Extension; may be empty
}

// splitTBS takes der apart. The signature field is the first SEQUENCE in either
// kind: only integers stand before it.
func splitTBS(der []byte, tag cbasn1.Tag) (*tbs, error) {
	in := cryptobyte.String(der)
	var seq, signature cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, errors.New("what is signed must be one DER SEQUENCE")
	}
	t := &tbs{tag: tag}
	rest := seq
	for !seq.Empty() && !seq.PeekASN1Tag(cbasn1.SEQUENCE) {
		if !seq.SkipASN1(firstTag(seq)) {
			return nil, errors.New("what is signed is not DER")
		}
	}
	t.head = rest[:len(rest)-len(seq)]
	if !seq.ReadASN1Element(&signature, cbasn1.SEQUENCE) {
		return nil, errors.New("what is signed must name the algorithm of the signature")
	}
	t.signature = signature
	return t, t.splitBody(seq)
}

func (t *tbs) splitBody(s cryptobyte.String) error {
	all := s
	for !s.Empty() && !s.PeekASN1Tag(t.tag) {
		if !s.SkipASN1(firstTag(s)) {
			return errors.New("what is signed is not DER")
		}
	}
	t.body = all[:len(all)-len(s)]
	if s.Empty() {
		return nil
	}
	var explicit, list cryptobyte.String
	if !s.ReadASN1(&explicit, t.tag) || !s.Empty() || !explicit.ReadASN1(&list, cbasn1.SEQUENCE) || !explicit.Empty() {
		return errors.New("what is signed must end with its extensions")
	}
	t.extensions = list
	return nil
}

// firstTag returns the tag of the next element of s, which is not empty.
func firstTag(s cryptobyte.String) cbasn1.Tag { return cbasn1.Tag(s[0]) }

// eachExtension calls f for every extension.
func (t *tbs) eachExtension(f func(oid asn1.ObjectIdentifier, der []byte)) error {
	for rest := cryptobyte.String(t.extensions); !rest.Empty(); {
		var der, fields cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !rest.ReadASN1Element(&der, cbasn1.SEQUENCE) {
			return errors.New("the extensions are malformed")
		}
		if whole := der; !whole.ReadASN1(&fields, cbasn1.SEQUENCE) || !fields.ReadASN1ObjectIdentifier(&oid) {
			return errors.New("the extensions are malformed")
		}
		f(oid, der)
	}
	return nil
}

// marshal returns the DER with these in the place of the signature field and of the
// extensions, which may be none. Without a signature field it is what an alternative
// signature is over.
func (t *tbs) marshal(signature []byte, extensions ...[]byte) ([]byte, error) {
	list := 0
	for _, e := range extensions {
		list += len(e)
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, len(t.head)+len(signature)+len(t.body)+list+32))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(t.head)
		b.AddBytes(signature)
		b.AddBytes(t.body)
		if list == 0 {
			return
		}
		b.AddASN1(t.tag, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, e := range extensions {
					b.AddBytes(e)
				}
			})
		})
	})
	return b.Bytes()
}
