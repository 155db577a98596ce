package pqc

import (
	"crypto"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// A PrivateKey signs. It implements crypto.Signer; however it is printed or
// logged, it says "[hidden]". The zero value is no key.
type PrivateKey struct {
	seed  [seedSize]byte
	mldsa mldsaPrivate
	trad  tradPrivate // nil in pure keys
	pub   *PublicKey
}

// GenerateKey makes a key from the system's randomness, in well under a millisecond, or
// up to seconds where the traditional half is RSA.
func GenerateKey(alg Algorithm) (*PrivateKey, error) {
	if !alg.valid() {
		return nil, fmt.Errorf("%w: %v", ErrUnknownAlgorithm, alg)
	}
	var trad tradPrivate
	if t := alg.row().trad; t != nil {
		var err error
		if trad, err = t.generate(); err != nil {
			return nil, fmt.Errorf("generating a key of %v: %w", alg, err)
		}
	}
	return newPrivateKey(alg, randomBytes(seedSize), trad), nil
}

// NewPrivateKey reads a raw private key: the seed of the ML-DSA key (32 octets),
// in composites followed by the traditional one (the draft, section 4.2). The public
// key is computed from it. raw is copied.
func NewPrivateKey(alg Algorithm, raw []byte) (*PrivateKey, error) {
	if !alg.valid() {
		return nil, fmt.Errorf("%w: %v", ErrUnknownAlgorithm, alg)
	}
	if len(raw) < seedSize || len(raw) > alg.PrivateKeySize() {
		return nil, fmt.Errorf("a private key of %v has up to %d octets, this one has %d", alg, alg.PrivateKeySize(), len(raw))
	}
	t := alg.row().trad
	if t == nil {
		return newPrivateKey(alg, raw, nil), nil
	}
	trad, err := t.parsePrivate(raw[seedSize:])
	if err != nil {
		return nil, fmt.Errorf("private key of %v: %w", alg, err)
	}
	return newPrivateKey(alg, raw[:seedSize], trad), nil
}

func newPrivateKey(alg Algorithm, seed []byte, trad tradPrivate) *PrivateKey {
	k := &PrivateKey{trad: trad, pub: &PublicKey{alg: alg}}
	copy(k.seed[:], seed)
	k.pub.mldsa, k.mldsa = alg.row().mldsa.expand(&k.seed)
	k.pub.raw = k.pub.mldsa.bytes()
	if trad != nil {
		k.pub.trad = trad.public()
		k.pub.raw = append(k.pub.raw, k.pub.trad.bytes()...)
	}
	return k
}

// Algorithm returns the algorithm of the key.
func (k *PrivateKey) Algorithm() Algorithm { return k.pub.alg }

// PublicKey returns the public key.
func (k *PrivateKey) PublicKey() *PublicKey { return k.pub }

// Public returns the public key, a *PublicKey, for crypto.Signer.
func (k *PrivateKey) Public() crypto.PublicKey { return k.pub }

// Bytes returns the raw private key, as NewPrivateKey reads it: the caller now
// holds a secret.
func (k *PrivateKey) Bytes() ([]byte, error) {
	if k.trad == nil {
		return slices.Clone(k.seed[:]), nil
	}
	t, err := k.trad.bytes()
	if err != nil {
		return nil, fmt.Errorf("private key of %v: %w", k.pub.alg, err)
	}
	return slices.Concat(k.seed[:], t), nil
}

// Equal reports whether x is the same key for the same algorithm, in constant time.
func (k *PrivateKey) Equal(x crypto.PrivateKey) bool {
	o, ok := x.(*PrivateKey)
	if !ok || k.pub.alg != o.pub.alg {
		return false
	}
	a, errA := k.Bytes()
	b, errB := o.Bytes()
	return errors.Join(errA, errB) == nil && subtle.ConstantTimeCompare(a, b) == 1
}

const hidden = "[hidden]"

// Format prints "[hidden]", whatever the verb.
func (k *PrivateKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// LogValue is "[hidden]".
func (k *PrivateKey) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText is "[hidden]": to export a key, use MarshalPKCS8PrivateKey or PrivateJWK.
func (k *PrivateKey) MarshalText() ([]byte, error) { return []byte(hidden), nil }
