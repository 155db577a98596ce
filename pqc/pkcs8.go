package pqc

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	seedTag   = cbasn1.Tag(0).ContextSpecific() // seed [0] IMPLICIT OCTET STRING (RFC 9881, section 6)
	publicTag = cbasn1.Tag(1).ContextSpecific() // publicKey [1] IMPLICIT BIT STRING (RFC 5958, section 2)
)

// MarshalPKCS8PrivateKey returns the DER OneAsymmetricKey (RFC 5958), version 0,
// with the seed alone (RFC 9881, section 6) or the raw composite key (the draft,
// section 5.3). The caller now holds a secret.
func MarshalPKCS8PrivateKey(k *PrivateKey) ([]byte, error) {
	raw, err := k.Bytes()
	if err != nil {
		return nil, err
	}
	// The buffer does not grow, so it leaves no copies of the key behind.
	b := cryptobyte.NewFixedBuilder(make([]byte, 0, len(raw)+64))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddBytes(k.pub.alg.row().identifier)
		b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) {
			if k.trad != nil {
				b.AddBytes(raw)
				return
			}
			b.AddASN1(seedTag, func(b *cryptobyte.Builder) { b.AddBytes(raw) })
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("writing a private key of %v: %w", k.pub.alg, err)
	}
	return der, nil
}

// ParsePKCS8PrivateKey reads a DER OneAsymmetricKey and nothing after it. An ML-DSA
// key must have its seed: an expanded key alone, which can be inconsistent in itself,
// is refused. If both are there (RFC 9881, section 6), they must agree. A publicKey may
// follow in version 1 and must then be the right one; attributes are refused. The
// error wraps ErrUnknownAlgorithm where the key is of another algorithm than ours.
func ParsePKCS8PrivateKey(der []byte) (*PrivateKey, error) {
	in := cryptobyte.String(der)
	var seq, octets cryptobyte.String
	var version int
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&version) {
		return nil, errors.New("a PKCS #8 private key must be one DER SEQUENCE")
	}
	alg, err := readIdentifier(&seq)
	if err != nil {
		return nil, fmt.Errorf("PKCS #8 private key: %w", err)
	}
	if !seq.ReadASN1(&octets, cbasn1.OCTET_STRING) {
		return nil, errors.New("a PKCS #8 private key must have an OCTET STRING")
	}
	raw, expanded := []byte(octets), []byte(nil)
	if !alg.Composite() {
		if raw, expanded, err = readSeed(octets); err != nil {
			return nil, fmt.Errorf("PKCS #8 private key of %v: %w", alg, err)
		}
	}
	k, err := NewPrivateKey(alg, raw)
	if err != nil {
		return nil, err
	}
	if expanded != nil && subtle.ConstantTimeCompare(expanded, k.mldsa.expanded()) != 1 {
		return nil, fmt.Errorf("PKCS #8 private key of %v: the expanded key in it does not belong to the seed beside it: do not use either, and make a new key", alg)
	}
	if err := checkPublic(&seq, version, k.pub); err != nil {
		return nil, fmt.Errorf("PKCS #8 private key of %v: %w", alg, err)
	}
	return k, nil
}

// readSeed reads an ML-DSA-PrivateKey (RFC 9881, section 6): a seed, or a seed with the
// expanded key.
func readSeed(s cryptobyte.String) (seed, expanded []byte, err error) {
	if s.PeekASN1Tag(cbasn1.OCTET_STRING) {
		return nil, nil, errors.New("the key is in expanded form without its seed; only keys with a seed are read: write it again in the seed form, or make a new key")
	}
	var both, first, second cryptobyte.String
	if s.PeekASN1Tag(cbasn1.SEQUENCE) {
		if !s.ReadASN1(&both, cbasn1.SEQUENCE) || !s.Empty() || !both.ReadASN1(&first, cbasn1.OCTET_STRING) || len(first) != seedSize ||
			!both.ReadASN1(&second, cbasn1.OCTET_STRING) || len(second) == 0 || !both.Empty() {
			return nil, nil, fmt.Errorf("the key must be a seed of %d octets, followed by the expanded key", seedSize)
		}
		return first, second, nil
	}
	if !s.ReadASN1(&first, seedTag) || !s.Empty() || len(first) != seedSize {
		return nil, nil, fmt.Errorf("the key must be a seed of %d octets under the tag [0]", seedSize)
	}
	return first, nil, nil
}

// checkPublic reads what may follow the private key.
func checkPublic(s *cryptobyte.String, version int, pub *PublicKey) error {
	if version == 0 {
		if !s.Empty() {
			return errors.New("version 0 must end with the private key; attributes are not read")
		}
		return nil
	}
	var bits cryptobyte.String
	if version != 1 || !s.ReadASN1(&bits, publicTag) || !s.Empty() {
		return errors.New("the version must be 0, or 1 with the public key at the end; attributes are not read")
	}
	var unused uint8
	if !bits.ReadUint8(&unused) || unused != 0 || !bytes.Equal(bits, pub.raw) {
		return errors.New("the public key belongs to another private key")
	}
	return nil
}
