package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"sync"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose"
)

// decoys are the public keys that were made so far, by kind.
var decoys sync.Map // kind to agents.PublicKey

// A kind of keys: those of an algorithm whose signatures have a size, which matters for
// RSA only.
type kind struct {
	alg  string
	size int
}

// decoy returns a public key of an algorithm, which no agent has, and whose private half
// is not kept. If signatures of the size take time to check, the key's have it.
func decoy(alg string, size int) agents.PublicKey {
	k := kind{alg: alg}
	if alg[:2] == "RS" || alg[:2] == "PS" {
		k.size = min(max(size, 2048/8), 8192/8)
	}
	if made, ok := decoys.Load(k); ok {
		return made.(agents.PublicKey)
	}
	made, _ := decoys.LoadOrStore(k, k.make())
	return made.(agents.PublicKey)
}

func (k kind) make() agents.PublicKey {
	if alg, err := pqc.AlgorithmByJOSE(k.alg); err == nil {
		key, err := pqc.GenerateKey(alg)
		if err != nil {
			panic(err) // there is no randomness
		}
		return pqc.MarshalPKIXPublicKey(key.PublicKey())
	}
	spki, err := x509.MarshalPKIXPublicKey(k.classical())
	if err != nil {
		panic(err) // it is one of the keys below
	}
	return spki
}

func (k kind) classical() crypto.PublicKey {
	switch k.alg {
	case jose.ES256:
		return onCurve(elliptic.P256())
	case jose.ES384:
		return onCurve(elliptic.P384())
	case jose.ES512:
		return onCurve(elliptic.P521())
	case jose.EdDSA, jose.Ed25519:
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		return public
	}
	// Checking an RSA signature takes as long for any odd modulus, and nobody needs to
	// know the factors.
	n := make([]byte, k.size)
	rand.Read(n)
	n[0] |= 0x80
	n[len(n)-1] |= 1
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
}

func onCurve(c elliptic.Curve) crypto.PublicKey {
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key.Public()
}
