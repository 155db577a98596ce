package pqc

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// ErrUnknownAlgorithm says that a name or an object identifier does not
// belong to this package. The key or signature may still be a classical one.
var ErrUnknownAlgorithm = errors.New("unknown post-quantum algorithm")

// An Algorithm is one row of the table of signature algorithms. The constants and what
// ParseAlgorithm, AlgorithmByOID and AlgorithmByJOSE return are valid. The zero value is
// not an algorithm: functions refuse it, and its methods except String panic.
type Algorithm uint8

// The algorithms of RFC 9881 and of draft-ietf-lamps-pq-composite-sigs-19,
// section 6. The numbers are internal: store the name or the object identifier.
const (
	MLDSA44 Algorithm = iota + 1
	MLDSA65
	MLDSA87
	MLDSA44RSA2048PSSSHA256
	MLDSA44RSA2048PKCS15SHA256
	MLDSA44Ed25519SHA512
	MLDSA44ECDSAP256SHA256
	MLDSA65RSA3072PSSSHA512
	MLDSA65RSA3072PKCS15SHA512
	MLDSA65RSA4096PSSSHA512
	MLDSA65RSA4096PKCS15SHA512
	MLDSA65ECDSAP256SHA512 // what the draft recommends in general
	MLDSA65ECDSAP384SHA512
	MLDSA65Ed25519SHA512
	MLDSA87ECDSAP384SHA512
	MLDSA87Ed448SHAKE256
	MLDSA87RSA3072PSSSHA512
	MLDSA87RSA4096PSSSHA512
	MLDSA87ECDSAP521SHA512
)

// Algorithms returns every algorithm, in the order of their object identifiers.
func Algorithms() []Algorithm {
	all := make([]Algorithm, 0, len(table)-1)
	for a := MLDSA44; a.valid(); a++ {
		all = append(all, a)
	}
	return all
}

// ParseAlgorithm returns the algorithm with this name, as String or Flag gives it.
// The error wraps ErrUnknownAlgorithm.
func ParseAlgorithm(name string) (Algorithm, error) {
	return find(func(r *row) bool { return name == r.name || name == r.flag }, name)
}

// AlgorithmByOID returns the algorithm with this object identifier, which is the
// same for keys and signatures. The error wraps ErrUnknownAlgorithm.
func AlgorithmByOID(oid asn1.ObjectIdentifier) (Algorithm, error) {
	return find(func(r *row) bool { return oid.Equal(r.oid) }, oid)
}

// AlgorithmByJOSE returns the algorithm with this "alg" value of JOSE.
// The error wraps ErrUnknownAlgorithm.
func AlgorithmByJOSE(alg string) (Algorithm, error) {
	return find(func(r *row) bool { return r.jose != "" && alg == r.jose }, alg)
}

func find(match func(*row) bool, what any) (Algorithm, error) {
	for i := 1; i < len(table); i++ {
		if match(&table[i]) {
			return Algorithm(i), nil
		}
	}
	return 0, fmt.Errorf("%w: %.80q", ErrUnknownAlgorithm, what)
}

func (a Algorithm) valid() bool { return a != 0 && int(a) < len(table) }

// row returns the row of a in the table. It panics if a is not an algorithm.
func (a Algorithm) row() *row {
	if !a.valid() {
		panic(fmt.Sprintf("pqc: %v", a))
	}
	return &table[a]
}

// String returns the name in the texts without "id-", such as "ML-DSA-65" or
// "MLDSA65-ECDSA-P256-SHA512".
func (a Algorithm) String() string {
	if !a.valid() {
		return fmt.Sprintf("Algorithm(%d)", uint8(a))
	}
	return table[a].name
}

// Flag returns the name as it is written on command lines and in configuration,
// such as "mldsa65" or "mldsa65-ecdsa-p256-sha512".
func (a Algorithm) Flag() string { return a.row().flag }

// OID returns the object identifier.
func (a Algorithm) OID() asn1.ObjectIdentifier { return slices.Clone(a.row().oid) }

// Identifier returns the DER AlgorithmIdentifier, for keys and signatures alike.
// It has no parameters (RFC 9881, section 2).
func (a Algorithm) Identifier() []byte { return slices.Clone(a.row().identifier) }

// JOSE returns the "alg" value of JOSE, or "" where the algorithm is not offered
// there.
func (a Algorithm) JOSE() string { return a.row().jose }

// Level returns the ML-DSA parameter set: 44, 65 or 87.
func (a Algorithm) Level() int { return a.row().mldsa.level }

// Composite reports whether a has a traditional half.
func (a Algorithm) Composite() bool { return a.row().trad != nil }

// PublicKeySize returns the length in octets of a public key. It is exact: the
// sizes that the draft lets vary (RSA) follow from the exponent, and ours is 65537.
func (a Algorithm) PublicKeySize() int {
	r := a.row()
	if r.trad == nil {
		return r.mldsa.publicKeySize
	}
	return r.mldsa.publicKeySize + r.trad.sizes().publicKey
}

// PrivateKeySize returns the greatest length in octets of a private key.
func (a Algorithm) PrivateKeySize() int {
	r := a.row()
	if r.trad == nil {
		return seedSize
	}
	return seedSize + r.trad.sizes().privateKey
}

// SignatureSize returns the greatest length in octets of a signature.
func (a Algorithm) SignatureSize() int {
	r := a.row()
	if r.trad == nil {
		return r.mldsa.signatureSize
	}
	return r.mldsa.signatureSize + r.trad.sizes().signature
}
