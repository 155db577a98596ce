package pqc

import (
	"fmt"

	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
)

const seedSize = 32 // xi of FIPS 204, algorithm 1

// maxContext is the longest context string in octets, of ML-DSA (FIPS 204,
// section 5.2) and of composites (the draft, section 3.2) alike.
const maxContext = 255

// A parameterSet is one of the three of FIPS 204, section 4.
type parameterSet struct {
	level         int
	publicKeySize int
	signatureSize int

	// expand derives the key pair of a seed.
	expand func(seed *[seedSize]byte) (mldsaPublic, mldsaPrivate)
	// unpack reads a public key of publicKeySize octets. It costs more than
	// verifying: the matrix A is derived from it.
	unpack func(b []byte) (mldsaPublic, error)
}

// An mldsaPublic is an unpacked public key.
type mldsaPublic interface {
	bytes() []byte
	verify(message, context, sig []byte) bool
}

// An mldsaPrivate is an expanded private key; it never leaves the process.
type mldsaPrivate interface {
	// sign returns a signature, hedged with fresh randomness unless told otherwise.
	sign(message, context []byte, hedged bool) ([]byte, error)
	// expanded returns the key in the form of FIPS 204, algorithm 24. It is a secret.
	expanded() []byte
}

var (
	mldsa44Set = newSet(44, mldsa44.PublicKeySize, mldsa44.SignatureSize,
		mldsa44.NewKeyFromSeed, mldsa44.SignTo, mldsa44.Verify,
		(*mldsa44.PublicKey).Bytes, (*mldsa44.PublicKey).UnmarshalBinary, (*mldsa44.PrivateKey).Bytes)
	mldsa65Set = newSet(65, mldsa65.PublicKeySize, mldsa65.SignatureSize,
		mldsa65.NewKeyFromSeed, mldsa65.SignTo, mldsa65.Verify,
		(*mldsa65.PublicKey).Bytes, (*mldsa65.PublicKey).UnmarshalBinary, (*mldsa65.PrivateKey).Bytes)
	mldsa87Set = newSet(87, mldsa87.PublicKeySize, mldsa87.SignatureSize,
		mldsa87.NewKeyFromSeed, mldsa87.SignTo, mldsa87.Verify,
		(*mldsa87.PublicKey).Bytes, (*mldsa87.PublicKey).UnmarshalBinary, (*mldsa87.PrivateKey).Bytes)
)

// funcs are the functions of one circl package, whose types differ in name only.
type funcs[PK, SK any] struct {
	signatureSize int
	signTo        func(sk *SK, message, context []byte, hedged bool, sig []byte) error
	verify        func(pk *PK, message, context, sig []byte) bool
	pack          func(pk *PK) []byte
	packPrivate   func(sk *SK) []byte
}

func newSet[PK, SK any](
	level, publicKeySize, signatureSize int,
	expand func(*[seedSize]byte) (*PK, *SK),
	signTo func(*SK, []byte, []byte, bool, []byte) error,
	verify func(*PK, []byte, []byte, []byte) bool,
	pack func(*PK) []byte,
	unpack func(*PK, []byte) error,
	packPrivate func(*SK) []byte,
) *parameterSet {
	f := &funcs[PK, SK]{signatureSize, signTo, verify, pack, packPrivate}
	return &parameterSet{
		level: level, publicKeySize: publicKeySize, signatureSize: signatureSize,
		expand: func(seed *[seedSize]byte) (mldsaPublic, mldsaPrivate) {
			defer clearVectors()
			pk, sk := expand(seed)
			return &circlPublic[PK, SK]{f, pk}, &circlPrivate[PK, SK]{f, sk}
		},
		unpack: func(b []byte) (mldsaPublic, error) {
			defer clearVectors()
			pk := new(PK)
			if err := unpack(pk, b); err != nil {
				return nil, fmt.Errorf("ML-DSA-%d public key: %w", level, err)
			}
			return &circlPublic[PK, SK]{f, pk}, nil
		},
	}
}

type circlPublic[PK, SK any] struct {
	f  *funcs[PK, SK]
	pk *PK
}

func (p *circlPublic[PK, SK]) bytes() []byte { return p.f.pack(p.pk) }

func (p *circlPublic[PK, SK]) verify(message, context, sig []byte) bool {
	defer clearVectors()
	return p.f.verify(p.pk, message, context, sig)
}

type circlPrivate[PK, SK any] struct {
	f  *funcs[PK, SK]
	sk *SK
}

func (p *circlPrivate[PK, SK]) sign(message, context []byte, hedged bool) ([]byte, error) {
	defer clearVectors()
	sig := make([]byte, p.f.signatureSize)
	if err := p.f.signTo(p.sk, message, context, hedged, sig); err != nil {
		return nil, fmt.Errorf("signing with ML-DSA: %w", err)
	}
	return sig, nil
}

func (p *circlPrivate[PK, SK]) expanded() []byte { return p.f.packPrivate(p.sk) }
