package pqc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
)

// This file calls circl and the standard library as a program without this
// package would, as the reference of the benchmarks.

type (
	private44 = circlPrivate[mldsa44.PublicKey, mldsa44.PrivateKey]
	private65 = circlPrivate[mldsa65.PublicKey, mldsa65.PrivateKey]
	private87 = circlPrivate[mldsa87.PublicKey, mldsa87.PrivateKey]
	public44  = circlPublic[mldsa44.PublicKey, mldsa44.PrivateKey]
	public65  = circlPublic[mldsa65.PublicKey, mldsa65.PrivateKey]
	public87  = circlPublic[mldsa87.PublicKey, mldsa87.PrivateKey]
)

func signBeneath(k *PrivateKey, m, context []byte) error {
	var err error
	switch p := k.mldsa.(type) {
	case *private44:
		err = mldsa44.SignTo(p.sk, m, context, true, make([]byte, mldsa44.SignatureSize))
	case *private65:
		err = mldsa65.SignTo(p.sk, m, context, true, make([]byte, mldsa65.SignatureSize))
	case *private87:
		err = mldsa87.SignTo(p.sk, m, context, true, make([]byte, mldsa87.SignatureSize))
	default:
		err = fmt.Errorf("unknown %T", p)
	}
	if err != nil || k.trad == nil {
		return err
	}
	return signTraditional(k.trad, m)
}

func signTraditional(k tradPrivate, m []byte) error {
	var err error
	switch p := k.(type) {
	case *ecdsaPrivate:
		_, err = ecdsa.SignASN1(rand.Reader, p.k, sum(p.s.hash, m))
	case *rsaPrivate:
		if p.s.pss {
			_, err = rsa.SignPSS(rand.Reader, p.k, p.s.hash, sum(p.s.hash, m), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			_, err = rsa.SignPKCS1v15(nil, p.k, p.s.hash, sum(p.s.hash, m))
		}
	case ed25519Private:
		ed25519.Sign(ed25519.PrivateKey(p), m)
	case ed448Private:
		ed448.Sign(ed448.PrivateKey(p), m, "")
	default:
		err = fmt.Errorf("unknown %T", p)
	}
	return err
}

func verifyMLDSA(k mldsaPublic, m, context, sig []byte) bool {
	switch p := k.(type) {
	case *public44:
		return mldsa44.Verify(p.pk, m, context, sig)
	case *public65:
		return mldsa65.Verify(p.pk, m, context, sig)
	case *public87:
		return mldsa87.Verify(p.pk, m, context, sig)
	}
	return false
}

func verifyTraditional(k tradPublic, m, sig []byte) bool {
	switch p := k.(type) {
	case *ecdsaPublic:
		return ecdsa.VerifyASN1(p.k, sum(p.s.hash, m), sig)
	case *rsaPublic:
		if p.s.pss {
			return rsa.VerifyPSS(p.k, p.s.hash, sum(p.s.hash, m), sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(p.k, p.s.hash, sum(p.s.hash, m), sig) == nil
	case ed25519Public:
		return ed25519.Verify(ed25519.PublicKey(p), m, sig)
	case ed448Public:
		return ed448.Verify(ed448.PublicKey(p), m, sig, "")
	}
	return false
}

func sum(h crypto.Hash, m []byte) []byte {
	switch h {
	case crypto.SHA256:
		d := sha256.Sum256(m)
		return d[:]
	case crypto.SHA384:
		d := sha512.Sum384(m)
		return d[:]
	}
	d := sha512.Sum512(m)
	return d[:]
}
