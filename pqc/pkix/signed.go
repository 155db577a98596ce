package pkix

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/pqc"
)

// A signed is the shape that certificates, CRLs and requests share (RFC 5280,
// sections 4.1.1 and 5.1.1; RFC 2986, section 4.2).
type signed struct {
	tbs        []byte // DER, what the signature is over
	identifier []byte // DER AlgorithmIdentifier
	signature  []byte
}

// parseSigned reads one such SEQUENCE and nothing after or between: crypto/x509
// overlooks what follows the signature, and bits of its last octet.
func parseSigned(der []byte, limit int) (signed, error) {
	if len(der) > limit {
		return signed{}, fmt.Errorf("longer than %d octets", limit)
	}
	in := cryptobyte.String(der)
	var seq, tbs, identifier cryptobyte.String
	var s signed
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() ||
		!seq.ReadASN1Element(&tbs, cbasn1.SEQUENCE) || !seq.ReadASN1Element(&identifier, cbasn1.SEQUENCE) {
		return signed{}, errors.New("must be one DER SEQUENCE of what is signed, an algorithm and a signature")
	}
	if !seq.ReadASN1BitStringAsBytes(&s.signature) || !seq.Empty() {
		return signed{}, errors.New("must end with a signature that is a BIT STRING of whole octets")
	}
	s.tbs, s.identifier = tbs, identifier
	return s, checkIdentifier(identifier)
}

// checkIdentifier refuses an AlgorithmIdentifier of ours with parameters, also with NULL
// (RFC 9881, section 2; the draft, section 5.2). It accepts all others.
func checkIdentifier(identifier []byte) error {
	in := cryptobyte.String(identifier)
	var seq cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1ObjectIdentifier(&oid) {
		return errors.New("the algorithm of the signature must be an AlgorithmIdentifier")
	}
	alg, err := pqc.AlgorithmByOID(oid)
	if err != nil {
		return nil // not ours
	}
	if !bytes.Equal(identifier, alg.Identifier()) {
		return fmt.Errorf("the AlgorithmIdentifier of %v must have no parameters, not even NULL", alg)
	}
	return nil
}

// wrap returns the DER of s.
func (s *signed) wrap() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, len(s.tbs)+len(s.identifier)+len(s.signature)+16))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(s.tbs)
		b.AddBytes(s.identifier)
		b.AddASN1BitString(s.signature)
	})
	return b.Bytes()
}
