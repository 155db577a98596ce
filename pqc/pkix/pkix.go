// Package pkix signs and checks certificates, CRLs and certification requests
// whose keys are classical, ML-DSA or composite, and finds and validates the path
// from a certificate to a root (RFC 5280, sections 4 to 6; RFC 9881;
// draft-ietf-lamps-pq-composite-sigs-19, section 5). Package pqc has keys and
// signatures; this one has certificates and who vouches for them. It is called pkix
// like the RFC, because programs that use it also import crypto/x509.
//
// Besides signatures by one key it knows the alternative signature of ITU-T X.509
// (2019), 9.8: a classical signature outside, which every verifier understands,
// and one by an ML-DSA or composite key in extensions that are not critical.
//
// CreateCertificate, CreateCRL and CreateCSR make what crypto/x509 has templates for. A
// Signer signs what somebody has encoded. ParseCertificate, ParseCRL and ParseCSR check
// the form of what others sent, and Verify finds out whether it is to be trusted.
//
// crypto/x509 parses the bytes; this package refuses what crypto/x509 wrongly lets
// pass. Do not use x509's Verify on such certificates: it cannot check their
// signatures, and it accepts any certificate that is itself among the roots.
//
// Left out: certificate policies (a critical extension about them is refused, like
// any that is not understood), delta CRLs, indirect CRLs and those that cover a
// part of the certificates (all refused), and constraints on names other than DNS
// names, URIs and IP addresses (refused where such a name stands below them).
//
// Trusted: package pqc, and crypto/x509 for parsing and for classical signatures.
// The package does no I/O, and holds no state but a key whose signatures nobody sees:
// see CreateCertificate.
package pkix

import (
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/pqc"
)

var (
	// ErrRevoked says that a certificate stands on a CRL.
	ErrRevoked = errors.New("certificate revoked")
	// ErrNotHybrid says that a signature rests on a classical algorithm alone where
	// Options.RequireHybrid asks for more.
	ErrNotHybrid = errors.New("not protected by a post-quantum signature")
)

// Bounds in octets. The largest official composite certificate has 7.7 k, and two
// keys and two signatures of the largest kind make 16 k; a million entries of a CRL
// take 40 M.
const (
	maxCertificate = 64 << 10
	maxRequest     = 64 << 10
	maxCRL         = 64 << 20
)

// A Protection says what a signature rests on. The zero value means nothing.
type Protection uint8

const (
	Classical   Protection = iota + 1 // ECDSA, Ed25519 or RSA alone
	PostQuantum                       // ML-DSA alone
	Composite                         // ML-DSA and a traditional algorithm in one signature
	Alternative                       // classical outside, ML-DSA or composite in the alternative signature
)

// String returns "classical", "ML-DSA", "composite" or "alternative signature".
func (p Protection) String() string {
	names := [...]string{"none", "classical", "ML-DSA", "composite", "alternative signature"}
	if int(p) >= len(names) {
		return fmt.Sprintf("Protection(%d)", uint8(p))
	}
	return names[p]
}

// Hybrid reports whether p withstands a quantum computer, as Options.RequireHybrid
// asks: all but Classical do.
func (p Protection) Hybrid() bool { return p > Classical }

func protectionOf(alg pqc.Algorithm) Protection {
	if alg.Composite() {
		return Composite
	}
	return PostQuantum
}
