package pqc

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"fmt"
	"slices"
)

// A PublicKey is a parsed and checked public key. It keeps the unpacked form:
// unpacking costs more than verifying, so callers that meet a key often should
// keep the *PublicKey, not its bytes. The zero value is no key.
type PublicKey struct {
	alg   Algorithm
	raw   []byte
	mldsa mldsaPublic
	trad  tradPublic // nil in pure keys
}

// NewPublicKey reads a raw public key: the ML-DSA key, in composites followed by
// the traditional one (the draft, section 4.1). This is what stands in a
// SubjectPublicKeyInfo and in the "pub" of a JWK. raw is copied.
func NewPublicKey(alg Algorithm, raw []byte) (*PublicKey, error) {
	if !alg.valid() {
		return nil, fmt.Errorf("%w: %v", ErrUnknownAlgorithm, alg)
	}
	if len(raw) != alg.PublicKeySize() {
		return nil, fmt.Errorf("a public key of %v has %d octets, this one has %d", alg, alg.PublicKeySize(), len(raw))
	}
	r := alg.row()
	k := &PublicKey{alg: alg, raw: bytes.Clone(raw)}
	var err error
	if k.mldsa, err = r.mldsa.unpack(raw[:r.mldsa.publicKeySize]); err != nil {
		return nil, fmt.Errorf("public key of %v: %w", alg, err)
	}
	if r.trad == nil {
		return k, nil
	}
	if k.trad, err = r.trad.parsePublic(raw[r.mldsa.publicKeySize:]); err != nil {
		return nil, fmt.Errorf("public key of %v: %w", alg, err)
	}
	return k, nil
}

// Algorithm returns the algorithm of the key; each key has exactly one.
func (k *PublicKey) Algorithm() Algorithm { return k.alg }

// Bytes returns the raw public key, as NewPublicKey reads it.
func (k *PublicKey) Bytes() []byte { return bytes.Clone(k.raw) }

// Equal reports whether x is the same key for the same algorithm.
func (k *PublicKey) Equal(x crypto.PublicKey) bool {
	o, ok := x.(*PublicKey)
	return ok && k.alg == o.alg && bytes.Equal(k.raw, o.raw)
}

// ComponentIDs returns the SHA-256 of the SubjectPublicKeyInfo that each component
// would have as a key of its own, ML-DSA first; one for a pure key. A component
// key must not be used elsewhere (the draft, sections 5.3 and 9.3): look for these
// among the keys that are known, compromised or revoked, not only for the whole.
func (k *PublicKey) ComponentIDs() ([][sha256.Size]byte, error) {
	r := k.alg.row()
	alone := pureOf(r.mldsa)
	ids := [][sha256.Size]byte{sha256.Sum256(spkiDER(alone.row().identifier, k.raw[:r.mldsa.publicKeySize]))}
	if k.trad == nil {
		return ids, nil
	}
	der, err := k.trad.spki()
	if err != nil {
		return nil, fmt.Errorf("component key of %v: %w", k.alg, err)
	}
	return append(ids, sha256.Sum256(der)), nil
}

func pureOf(set *parameterSet) Algorithm {
	return Algorithm(slices.IndexFunc(table, func(r row) bool { return r.mldsa == set && r.trad == nil }))
}
