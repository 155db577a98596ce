package pkix

import (
	"crypto/x509"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidECDSASHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECDSASHA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	oidECDSASHA512 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}
	oidEd25519     = asn1.ObjectIdentifier{1, 3, 101, 112}
	oidRSAPSS      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMGF1        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
)

var null = []byte{5, 0}

// classicalAlgorithms are the classical signatures that are accepted, by their DER
// AlgorithmIdentifier. Parameters are absent for ECDSA (RFC 5758, section 3.2) and
// Ed25519 (RFC 8410, section 3), NULL for PKCS #1 v1.5 (RFC 4055, section 5). MD5 and
// SHA-1 are left out.
var classicalAlgorithms = newClassicalAlgorithms()

// AcceptsClassical reports whether classical signatures by the algorithm are accepted:
// ECDSA or RSA with SHA-256 or more, and Ed25519.
func AcceptsClassical(alg x509.SignatureAlgorithm) bool {
	for _, accepted := range classicalAlgorithms {
		if alg == accepted {
			return true
		}
	}
	return false
}

func newClassicalAlgorithms() map[string]x509.SignatureAlgorithm {
	m := map[string]x509.SignatureAlgorithm{
		string(identifier(oidECDSASHA256, nil)): x509.ECDSAWithSHA256,
		string(identifier(oidECDSASHA384, nil)): x509.ECDSAWithSHA384,
		string(identifier(oidECDSASHA512, nil)): x509.ECDSAWithSHA512,
		string(identifier(oidEd25519, nil)):     x509.PureEd25519,
	}
	for i, hash := range []struct {
		pkcs1, pss x509.SignatureAlgorithm
		salt       int64
	}{
		{x509.SHA256WithRSA, x509.SHA256WithRSAPSS, 32},
		{x509.SHA384WithRSA, x509.SHA384WithRSAPSS, 48},
		{x509.SHA512WithRSA, x509.SHA512WithRSAPSS, 64},
	} {
		m[string(identifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11 + i}, null))] = hash.pkcs1
		// Both forms of a hash's identifier are in use (RFC 4055, section 2.1).
		oid := asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1 + i}
		for _, a := range [][]byte{nil, null} {
			for _, b := range [][]byte{nil, null} {
				m[string(pssIdentifier(identifier(oid, a), identifier(oid, b), hash.salt))] = hash.pss
			}
		}
	}
	return m
}

// identifier returns a DER AlgorithmIdentifier; params is DER or nil.
func identifier(oid asn1.ObjectIdentifier, params []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddBytes(params)
	})
	return b.BytesOrPanic()
}

// pssIdentifier returns that of RSASSA-PSS with one hash for both uses and a salt of
// its length (RFC 4055, section 3.1).
func pssIdentifier(hash, mgfHash []byte, salt int64) []byte {
	explicit := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).Constructed().ContextSpecific() }
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddBytes(hash) })
		b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { b.AddBytes(identifier(oidMGF1, mgfHash)) })
		b.AddASN1(explicit(2), func(b *cryptobyte.Builder) { b.AddASN1Int64(salt) })
	})
	return identifier(oidRSAPSS, b.BytesOrPanic())
}
