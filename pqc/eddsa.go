package pqc

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"github.com/cloudflare/circl/sign/ed448"
)

// An ed25519Scheme is Ed25519 (RFC 8032), with raw keys; a private key is the seed.
type ed25519Scheme struct{}

func (ed25519Scheme) sizes() sizes {
	return sizes{ed25519.PublicKeySize, ed25519.SeedSize, ed25519.SignatureSize}
}

func (s ed25519Scheme) generate() (tradPrivate, error) {
	return s.parsePrivate(randomBytes(ed25519.SeedSize))
}

func (ed25519Scheme) parsePublic(b []byte) (tradPublic, error) {
	if err := curve25519.check(b); err != nil {
		return nil, fmt.Errorf("the Ed25519 half: %w", err)
	}
	return ed25519Public(bytes.Clone(b)), nil
}

func (ed25519Scheme) parsePrivate(b []byte) (tradPrivate, error) {
	if len(b) != ed25519.SeedSize {
		return nil, fmt.Errorf("the Ed25519 half must have %d octets", ed25519.SeedSize)
	}
	return ed25519Private(ed25519.NewKeyFromSeed(b)), nil
}

type ed25519Public ed25519.PublicKey

func (p ed25519Public) bytes() []byte { return p }

func (p ed25519Public) verify(message, sig []byte) bool {
	return ed25519.Verify(ed25519.PublicKey(p), message, sig)
}

func (p ed25519Public) spki() ([]byte, error) {
	return x509.MarshalPKIXPublicKey(ed25519.PublicKey(p))
}

type ed25519Private ed25519.PrivateKey

func (p ed25519Private) bytes() ([]byte, error) { return ed25519.PrivateKey(p).Seed(), nil }
func (p ed25519Private) public() tradPublic     { return ed25519Public(p[ed25519.SeedSize:]) }

func (p ed25519Private) sign(message []byte) ([]byte, error) {
	return ed25519.Sign(ed25519.PrivateKey(p), message), nil
}

// An ed448Scheme is Ed448 (RFC 8032) with an empty context and raw keys; a private
// key is the seed.
type ed448Scheme struct{}

func (ed448Scheme) sizes() sizes {
	return sizes{ed448.PublicKeySize, ed448.SeedSize, ed448.SignatureSize}
}

func (s ed448Scheme) generate() (tradPrivate, error) {
	return s.parsePrivate(randomBytes(ed448.SeedSize))
}

func (ed448Scheme) parsePublic(b []byte) (tradPublic, error) {
	if err := curve448.check(b); err != nil {
		return nil, fmt.Errorf("the Ed448 half: %w", err)
	}
	return ed448Public(bytes.Clone(b)), nil
}

func (ed448Scheme) parsePrivate(b []byte) (tradPrivate, error) {
	if len(b) != ed448.SeedSize {
		return nil, fmt.Errorf("the Ed448 half must have %d octets", ed448.SeedSize)
	}
	return ed448Private(ed448.NewKeyFromSeed(b)), nil
}

type ed448Public ed448.PublicKey

func (p ed448Public) bytes() []byte { return p }

func (p ed448Public) verify(message, sig []byte) bool {
	return ed448.Verify(ed448.PublicKey(p), message, sig, "")
}

// spki follows RFC 8410, section 4.
func (p ed448Public) spki() ([]byte, error) {
	return spkiDER(identifierDER(asn1.ObjectIdentifier{1, 3, 101, 113}), p), nil
}

type ed448Private ed448.PrivateKey

func (p ed448Private) bytes() ([]byte, error) { return ed448.PrivateKey(p).Seed(), nil }
func (p ed448Private) public() tradPublic     { return ed448Public(p[ed448.SeedSize:]) }

func (p ed448Private) sign(message []byte) ([]byte, error) {
	return ed448.Sign(ed448.PrivateKey(p), message, ""), nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: it ends the program instead
	return b
}
