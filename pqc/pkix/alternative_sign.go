package pkix

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/pqc"
)

// AlternativeKey returns the DER Extension subjectAltPublicKeyInfo, which binds k to
// the subject of a certificate beside its classical key. A CA whose alternative
// signatures are to count must have it.
func AlternativeKey(k *pqc.PublicKey) []byte {
	return extension(oidAltPublicKey, func(b *cryptobyte.Builder) { b.AddBytes(pqc.MarshalPKIXPublicKey(k)) })
}

// addAlternative returns the TBS der with the alternative signature of k, whose public
// half is given, at the end of its extensions. Nothing is encoded but the two extensions and the lengths
// around them.
func addAlternative(t *tbs, k crypto.Signer, public *pqc.PublicKey) ([]byte, error) {
	if err := t.checkUnsigned(); err != nil {
		return nil, err
	}
	id := public.Algorithm().Identifier()
	algorithm := extension(oidAltAlgorithm, func(b *cryptobyte.Builder) { b.AddBytes(id) })
	message, err := t.marshal(nil, t.extensions, algorithm)
	if err != nil {
		return nil, err
	}
	sig, err := k.Sign(rand.Reader, message, crypto.Hash(0))
	if err != nil {
		return nil, err
	}
	value := extension(oidAltSignatureValue, func(b *cryptobyte.Builder) { b.AddASN1BitString(sig) })
	return t.marshal(t.signature, t.extensions, algorithm, value)
}

// checkUnsigned checks that t may have extensions and has no alternative signature yet.
func (t *tbs) checkUnsigned() error {
	want := []byte{0xa0, 3, 2, 1, 2} // version [0] v3
	if t.tag == crlExtensions {
		want = []byte{2, 1, 1} // v2
	}
	if !bytes.HasPrefix(t.head, want) {
		return errors.New("only certificates of version 3 and CRLs of version 2 have extensions")
	}
	signed := false
	err := t.eachExtension(func(oid asn1.ObjectIdentifier, _ []byte) {
		signed = signed || oid.Equal(oidAltAlgorithm) || oid.Equal(oidAltSignatureValue)
	})
	if err == nil && signed {
		err = errors.New("there is one already")
	}
	return err
}

// extension returns the DER of an Extension that is not critical.
func extension(oid asn1.ObjectIdentifier, value cryptobyte.BuilderContinuation) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(cbasn1.OCTET_STRING, value)
	})
	return b.BytesOrPanic()
}
