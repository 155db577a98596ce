package acme

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"net/http"
	"sync"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// nonces makes and accepts the anti-replay nonces of RFC 8555, section 6.5. A nonce is a
// counter, encrypted with a key of this process. Nothing is stored: a bitmap in memory
// says which of the latest nonces were used. An older nonce, or one from before a
// restart, is refused, and the client retries with the fresh one in the refusal.
type nonces struct {
	block cipher.Block

	mu   sync.Mutex // protects what follows
	next uint64
	used [maxNonces / 64]uint64 // by counter modulo maxNonces
}

// maxNonces is how many of the latest nonces are accepted: a bitmap of 32 KiB.
const maxNonces = 1 << 18

func newNonces() *nonces {
	secret := make([]byte, 16)
	rand.Read(secret)
	block, err := aes.NewCipher(secret)
	if err != nil {
		panic(err) // only for a wrong key size, and ours is constant
	}
	return &nonces{block: block}
}

// make returns a fresh nonce: 16 octets in base64url.
func (n *nonces) make() string {
	n.mu.Lock()
	count := n.next
	n.next++
	n.used[count%maxNonces/64] &^= 1 << (count % 64)
	n.mu.Unlock()
	var plain, sealed [16]byte
	binary.BigEndian.PutUint64(plain[8:], count)
	n.block.Encrypt(sealed[:], plain[:])
	return strict.ToBase64(sealed[:])
}

// use consumes a nonce. It reports whether the nonce is one of the latest and was unused.
func (n *nonces) use(text string) bool {
	sealed, err := strict.Base64(text)
	if err != nil || len(sealed) != 16 {
		return false
	}
	var plain [16]byte
	n.block.Decrypt(plain[:], sealed)
	if binary.BigEndian.Uint64(plain[:8]) != 0 {
		return false
	}
	count := binary.BigEndian.Uint64(plain[8:])
	n.mu.Lock()
	defer n.mu.Unlock()
	if count >= n.next || n.next-count > maxNonces {
		return false
	}
	word, bit := &n.used[count%maxNonces/64], uint64(1)<<(count%64)
	fresh := *word&bit == 0
	*word |= bit
	return fresh
}

// serveNonce answers HEAD with 200 and GET with 204 (RFC 8555, section 7.2).
func (s *Service) serveNonce(w http.ResponseWriter, r *http.Request) {
	s.at(r).mark(w)
	if r.Method == http.MethodGet {
		w.WriteHeader(http.StatusNoContent)
	}
}
