package pkix_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	xpkix "crypto/x509/pkix"
	"errors"
	"fmt"
	"log"
	"math/big"
	"time"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// newRoot returns a CA that signs with s.
func newRoot(s *pkix.Signer) *pkix.Certificate {
	der := must(pkix.CreateCertificate(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: xpkix.Name{CommonName: "root"}, NotBefore: now, NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil, nil, s))
	return must(pkix.ParseCertificate(der))
}

// newLeaf returns a certificate by root for a client's key.
func newLeaf(root *pkix.Certificate, s *pkix.Signer) *pkix.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must(pkix.CreateCertificate(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: xpkix.Name{CommonName: "build-bot"}, NotBefore: now, NotAfter: now.Add(5 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, DNSNames: []string{"bot.example"},
	}, root, must(x509.MarshalPKIXPublicKey(key.Public())), s))
	return must(pkix.ParseCertificate(der))
}

// A composite CA certifies a classical key, and a verifier that knows its root checks
// that every signature rests on ML-DSA.
func Example() {
	signer := must(pkix.NewSigner(must(pqc.GenerateKey(pqc.MLDSA65ECDSAP256SHA512))))
	root := newRoot(signer)
	leaf := newLeaf(root, signer)
	path, err := leaf.Verify(&pkix.Options{
		Roots: []*pkix.Certificate{root}, Time: now, Host: "bot.example",
		Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, RequireHybrid: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(path.Certificates), path.Protection())
	// Output: 2 composite
}

// With an alternative signature every verifier can check the classical one outside.
// Only who asks for the other learns that it is missing.
func ExampleOptions_requireHybrid() {
	classical := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	signer := must(pkix.NewAlternativeSigner(classical, must(pqc.GenerateKey(pqc.MLDSA65))))
	root := newRoot(signer)
	forged := newLeafBy(root, classical)
	for _, leaf := range []*pkix.Certificate{newLeaf(root, signer), forged} {
		for _, require := range []bool{false, true} {
			_, err := leaf.Verify(&pkix.Options{
				Roots: []*pkix.Certificate{root}, Time: now, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, RequireHybrid: require,
			})
			fmt.Println(leaf.AlternativelySigned(), require, err == nil, errors.Is(err, pkix.ErrNotHybrid))
		}
	}
	// Output:
	// true false true false
	// true true true false
	// false false true false
	// false true false true
}

// newLeafBy returns what somebody issues who has root's classical key alone.
func newLeafBy(root *pkix.Certificate, key *ecdsa.PrivateKey) *pkix.Certificate {
	return newLeaf(root, must(pkix.NewSigner(key)))
}

// A revoked certificate stands on the CRL of its issuer.
func ExampleCreateCRL() {
	signer := must(pkix.NewSigner(must(pqc.GenerateKey(pqc.MLDSA44))))
	root := newRoot(signer)
	leaf := newLeaf(root, signer)
	list := must(pkix.ParseCRL(must(pkix.CreateCRL(&x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: leaf.X509.SerialNumber, RevocationTime: now}},
	}, root, signer))))
	_, err := leaf.Verify(&pkix.Options{
		Roots: []*pkix.Certificate{root}, Time: now, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		CRLs: []*pkix.CRL{list}, RequireCRLs: true,
	})
	fmt.Println(errors.Is(err, pkix.ErrRevoked))
	// Output: true
}

// A request proves that the asker has the key: of a composite both halves.
func ExampleCreateCSR() {
	signer := must(pkix.NewSigner(must(pqc.GenerateKey(pqc.MLDSA44Ed25519SHA512))))
	der := must(pkix.CreateCSR(&x509.CertificateRequest{DNSNames: []string{"bot.example"}}, signer))
	request := must(pkix.ParseCSR(der))
	protection, err := request.CheckSignature()
	fmt.Println(request.PublicKey().Algorithm(), request.X509.DNSNames, protection, err)
	// Output: MLDSA44-Ed25519-SHA512 [bot.example] composite <nil>
}
