package pqc

import (
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MarshalPKIXPublicKey returns the DER SubjectPublicKeyInfo (RFC 9881, section 4;
// the draft, section 5.1).
func MarshalPKIXPublicKey(k *PublicKey) []byte {
	return spkiDER(k.alg.row().identifier, k.raw)
}

// ParsePKIXPublicKey reads a DER SubjectPublicKeyInfo and nothing after it. The
// error wraps ErrUnknownAlgorithm where the key is of another algorithm than ours.
func ParsePKIXPublicKey(der []byte) (*PublicKey, error) {
	in := cryptobyte.String(der)
	var spki cryptobyte.String
	if !in.ReadASN1(&spki, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, errors.New("a SubjectPublicKeyInfo must be one DER SEQUENCE")
	}
	alg, err := readIdentifier(&spki)
	if err != nil {
		return nil, fmt.Errorf("SubjectPublicKeyInfo: %w", err)
	}
	var raw []byte
	if !spki.ReadASN1BitStringAsBytes(&raw) || !spki.Empty() {
		return nil, errors.New("a SubjectPublicKeyInfo must end with a BIT STRING of whole octets")
	}
	return NewPublicKey(alg, raw)
}

// readIdentifier reads an AlgorithmIdentifier of ours. Parameters, NULL among
// them, are refused (RFC 9881, section 2: they MUST be absent).
func readIdentifier(s *cryptobyte.String) (Algorithm, error) {
	var id cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !s.ReadASN1(&id, cbasn1.SEQUENCE) || !id.ReadASN1ObjectIdentifier(&oid) {
		return 0, errors.New("no AlgorithmIdentifier")
	}
	alg, err := AlgorithmByOID(oid)
	if err != nil {
		return 0, err
	}
	if !id.Empty() {
		return 0, fmt.Errorf("the AlgorithmIdentifier of %v must have no parameters, not even NULL", alg)
	}
	return alg, nil
}

// spkiDER returns a SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
func spkiDER(identifier, key []byte) []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, len(key)+len(identifier)+16))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(identifier)
		b.AddASN1BitString(key)
	})
	return b.BytesOrPanic()
}
