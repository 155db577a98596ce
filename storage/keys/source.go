package keys

import (
	"crypto"
	"sync"
	"time"
)

// A Source is where the private halves of keys live: files, a PKCS #11 module, a
// TPM, a service that signs. It knows only one rule about states: a key that may
// still sign is not destroyed. Its methods may be called concurrently. Call them
// outside of transactions, because they may be slow.
//
// A key with an alternative signs by an [AlternativeSigner].
type Source interface {
	// Generate makes a key, which is durable when Generate returns. The authority
	// does not use it before [Record] has added it.
	Generate(p Purpose, a Algorithm, now time.Time) (Key, crypto.Signer, error)

	// Signer returns the private half of the key whose record is k, and of no other.
	Signer(k Key) (crypto.Signer, error)

	// Has reports whether there is a private half for k. Signer finds
	// out whether it is the right one.
	Has(k Key) (bool, error)

	// Destroy forgets the private half of a retired key, or of one that never came on record. A key that has no private
	// half any more is not an error. Call [Remove] afterwards.
	Destroy(k Key) error
}

// Signers is [Source.Signer] for several keys at once: each may take long, such as
// the 600,000 iterations that unseal a file.
func Signers(s Source, ks ...Key) ([]crypto.Signer, error) {
	signers, errs := make([]crypto.Signer, len(ks)), make([]error, len(ks))
	var wg sync.WaitGroup
	for i, k := range ks {
		wg.Go(func() { signers[i], errs[i] = s.Signer(k) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err // the first; the others are often the same wrong passphrase
		}
	}
	return signers, nil
}

// Trial makes a key to try out what it signs. The key has no Source and is never
// stored.
func Trial(p Purpose, a Algorithm, now time.Time) (Key, crypto.Signer, error) {
	if err := p.check(); err != nil {
		return Key{}, nil, err
	}
	signer, err := a.generate()
	if err != nil {
		return Key{}, nil, err
	}
	k, err := NewKey(p, signer, now)
	return k, signer, err
}
