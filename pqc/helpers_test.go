package pqc

import (
	"sync"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	keysLock sync.Mutex
	keys     = map[Algorithm]*PrivateKey{}
	rsaKeys  = map[int]*rsaPrivate{} // by size: they take long to make
)

// testKey returns the one key of alg that all tests share.
func testKey(t testing.TB, alg Algorithm) *PrivateKey {
	t.Helper()
	keysLock.Lock()
	defer keysLock.Unlock()
	if k := keys[alg]; k != nil {
		return k
	}
	k, err := newTestKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	keys[alg] = k
	return k
}

func newTestKey(alg Algorithm) (*PrivateKey, error) {
	s, isRSA := alg.row().trad.(rsaScheme)
	if !isRSA {
		return GenerateKey(alg)
	}
	old := rsaKeys[s.bits]
	if old == nil {
		k, err := GenerateKey(alg)
		if err == nil {
			rsaKeys[s.bits] = k.trad.(*rsaPrivate)
		}
		return k, err
	}
	k, err := s.newPrivate(old.k)
	if err != nil {
		return nil, err
	}
	return newPrivateKey(alg, randomBytes(seedSize), k), nil
}

func eachAlgorithm(t *testing.T, f func(t *testing.T, alg Algorithm)) {
	for _, alg := range Algorithms() {
		t.Run(alg.Flag(), func(t *testing.T) { f(t, alg) })
	}
}

func sign(t testing.TB, k *PrivateKey, message []byte) []byte {
	t.Helper()
	sig, err := k.Sign(nil, message, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// The builders below write what our own writers would not.

func der(tag cbasn1.Tag, content ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, c := range content {
			b.AddBytes(c)
		}
	})
	return b.BytesOrPanic()
}

func sequence(content ...[]byte) []byte { return der(cbasn1.SEQUENCE, content...) }
func octetString(b []byte) []byte       { return der(cbasn1.OCTET_STRING, b) }
func bitString(b []byte) []byte         { return der(cbasn1.BIT_STRING, []byte{0}, b) }

// pkcs8 returns a OneAsymmetricKey of version 0 around content.
func pkcs8(alg Algorithm, content []byte) []byte {
	return sequence([]byte{2, 1, 0}, alg.Identifier(), octetString(content))
}
