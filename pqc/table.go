package pqc

import (
	"crypto"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/asn1"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A row has the parameters of one algorithm.
type row struct {
	name  string
	oid   asn1.ObjectIdentifier
	mldsa *parameterSet
	jose  string

	// Composites only.
	trad    traditional
	preHash func(message []byte) []byte

	// Computed from the fields above.
	flag       string
	label      []byte // also the FIPS 204 context of the ML-DSA half
	identifier []byte // DER AlgorithmIdentifier
}

// table is indexed by Algorithm. Object identifiers: RFC 9881, section 2, and the
// draft, section 6. PH, the hash of the message, is not the hash that the
// traditional half uses on what it signs.
var table = []row{
	{},      // no algorithm
	MLDSA44: pure("ML-DSA-44", 17, mldsa44Set),
	MLDSA65: pure("ML-DSA-65", 18, mldsa65Set),
	MLDSA87: pure("ML-DSA-87", 19, mldsa87Set),

	MLDSA44RSA2048PSSSHA256:    composite("MLDSA44-RSA2048-PSS-SHA256", 37, mldsa44Set, pss2048, phSHA256, ""),
	MLDSA44RSA2048PKCS15SHA256: composite("MLDSA44-RSA2048-PKCS15-SHA256", 38, mldsa44Set, pkcs2048, phSHA256, ""),
	MLDSA44Ed25519SHA512:       composite("MLDSA44-Ed25519-SHA512", 39, mldsa44Set, ed25519Scheme{}, phSHA512, "ML-DSA-44-Ed25519"),
	MLDSA44ECDSAP256SHA256:     composite("MLDSA44-ECDSA-P256-SHA256", 40, mldsa44Set, p256, phSHA256, ""),
	MLDSA65RSA3072PSSSHA512:    composite("MLDSA65-RSA3072-PSS-SHA512", 41, mldsa65Set, pss3072, phSHA512, ""),
	MLDSA65RSA3072PKCS15SHA512: composite("MLDSA65-RSA3072-PKCS15-SHA512", 42, mldsa65Set, pkcs3072, phSHA512, ""),
	MLDSA65RSA4096PSSSHA512:    composite("MLDSA65-RSA4096-PSS-SHA512", 43, mldsa65Set, pss4096, phSHA512, ""),
	MLDSA65RSA4096PKCS15SHA512: composite("MLDSA65-RSA4096-PKCS15-SHA512", 44, mldsa65Set, pkcs4096, phSHA512, ""),
	MLDSA65ECDSAP256SHA512:     composite("MLDSA65-ECDSA-P256-SHA512", 45, mldsa65Set, p256, phSHA512, ""),
	MLDSA65ECDSAP384SHA512:     composite("MLDSA65-ECDSA-P384-SHA512", 46, mldsa65Set, p384, phSHA512, ""),
	MLDSA65Ed25519SHA512:       composite("MLDSA65-Ed25519-SHA512", 48, mldsa65Set, ed25519Scheme{}, phSHA512, "ML-DSA-65-Ed25519"),
	MLDSA87ECDSAP384SHA512:     composite("MLDSA87-ECDSA-P384-SHA512", 49, mldsa87Set, p384, phSHA512, ""),
	MLDSA87Ed448SHAKE256:       composite("MLDSA87-Ed448-SHAKE256", 51, mldsa87Set, ed448Scheme{}, phSHAKE256, ""),
	MLDSA87RSA3072PSSSHA512:    composite("MLDSA87-RSA3072-PSS-SHA512", 52, mldsa87Set, pss3072, phSHA512, ""),
	MLDSA87RSA4096PSSSHA512:    composite("MLDSA87-RSA4096-PSS-SHA512", 53, mldsa87Set, pss4096, phSHA512, ""),
	MLDSA87ECDSAP521SHA512:     composite("MLDSA87-ECDSA-P521-SHA512", 54, mldsa87Set, p521, phSHA512, ""),
}

// The traditional halves. Hash and salt: the draft, section 6.
var (
	pss2048  = rsaScheme{bits: 2048, hash: crypto.SHA256, pss: true}
	pss3072  = rsaScheme{bits: 3072, hash: crypto.SHA256, pss: true}
	pss4096  = rsaScheme{bits: 4096, hash: crypto.SHA384, pss: true}
	pkcs2048 = rsaScheme{bits: 2048, hash: crypto.SHA256}
	pkcs3072 = rsaScheme{bits: 3072, hash: crypto.SHA256}
	pkcs4096 = rsaScheme{bits: 4096, hash: crypto.SHA384}

	p256 = ecdsaScheme{curve: elliptic.P256(), hash: crypto.SHA256, oid: asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}}
	p384 = ecdsaScheme{curve: elliptic.P384(), hash: crypto.SHA384, oid: asn1.ObjectIdentifier{1, 3, 132, 0, 34}}
	p521 = ecdsaScheme{curve: elliptic.P521(), hash: crypto.SHA512, oid: asn1.ObjectIdentifier{1, 3, 132, 0, 35}}
)

func pure(name string, n int, set *parameterSet) row {
	oid := asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, n}
	return row{
		name: name, oid: oid, mldsa: set, jose: name,
		flag:       strings.ToLower(strings.ReplaceAll(name, "-", "")),
		identifier: identifierDER(oid),
	}
}

func composite(name string, n int, set *parameterSet, trad traditional, ph func([]byte) []byte, jose string) row {
	oid := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 6, n}
	return row{
		name: name, oid: oid, mldsa: set, jose: jose, trad: trad, preHash: ph,
		flag:       strings.ToLower(name),
		label:      []byte("COMPSIG-" + name),
		identifier: identifierDER(oid),
	}
}

func identifierDER(oid asn1.ObjectIdentifier) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
	return b.BytesOrPanic()
}

func phSHA256(m []byte) []byte   { h := sha256.Sum256(m); return h[:] }
func phSHA512(m []byte) []byte   { h := sha512.Sum512(m); return h[:] }
func phSHAKE256(m []byte) []byte { return sha3.SumSHAKE256(m, 64) }
