package client

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage/durable"
)

// nextSuffix is what follows the name of a lasting key's file in that of the next one. The
// next key is on the disk before the authority is asked to register it, and takes the place of
// the old one when the authority has. If the answer is lost, both files stay, and the one that
// the authority accepts or names is the key.
const nextSuffix = ".next"

// A registeredKey is what the authority says of a registered key of the agent.
type registeredKey struct {
	SHA256 string    `json:"sha256"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"` // zero if its age is not limited
}

// due reports whether the key should be replaced: before the authority warns its operators,
// which it does for the last third of the time, 30 days at most.
func (k registeredKey) due(now time.Time) bool {
	const day = 24 * time.Hour
	return !k.Until.IsZero() && !now.Before(k.Until.Add(-min(40*day, k.Until.Sub(k.Since)*2/5)))
}

// find returns what a list says of a key.
func find(list []registeredKey, key crypto.Signer) (k registeredKey, found bool) {
	sum, err := sumOf(key)
	for _, k := range list {
		if err == nil && k.SHA256 == fmt.Sprintf("%x", sum) {
			return k, true
		}
	}
	return k, false
}

// sumOf returns the SHA-256 of the public half in DER.
func sumOf(key crypto.Signer) (sum [32]byte, err error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return sha256.Sum256(der), err
}

// keepLasting replaces the lasting key, if there is one, before it is too old. listed are the
// registered keys as the authority has just said; nil means that it did not.
func (id *Identity) keepLasting(ctx context.Context, t *trust, agent string, listed []registeredKey) error {
	file := id.lasting()
	if file == "" {
		return nil
	}
	key, err := readKey(file)
	if err != nil {
		return fmt.Errorf("its lasting key is of no use: %w", err)
	}
	if listed == nil {
		return nil
	}
	if err := id.replaceLasting(ctx, t, agent, listed, file, key); err != nil {
		return fmt.Errorf("its lasting key was not replaced: %w", err)
	}
	return nil
}

// replaceLasting replaces the lasting key if it is due.
func (id *Identity) replaceLasting(ctx context.Context, t *trust, agent string, listed []registeredKey, file string, key crypto.Signer) error {
	next, err := readNext(file)
	if err != nil {
		return err
	}
	k, found := find(listed, key)
	switch {
	case !found && next != nil:
		if _, found = find(listed, next); found { // the answer was lost
			return durable.Rename(file+nextSuffix, file)
		}
		fallthrough
	case !found:
		return fmt.Errorf("the key in %s is not registered any more: somebody has removed or replaced it; if it was not you, tell the operator that it is stolen", file)
	case !k.due(time.Now()):
		return nil
	}
	if next == nil {
		if next, err = id.makeNext(file, key); err != nil {
			return err
		}
	}
	if err := id.at().registerNext(ctx, t, agent, key, next); err != nil {
		return fmt.Errorf("registering the next one: %w", err)
	}
	return durable.Rename(file+nextSuffix, file)
}

// readNext returns the next key, or nil if no key waits.
func readNext(file string) (crypto.Signer, error) {
	key, err := readKey(file + nextSuffix)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return key, err
}

// makeNext makes the next key, and saves it. Other processes of the agent take the same one.
func (id *Identity) makeNext(file string, old crypto.Signer) (next crypto.Signer, err error) {
	err = id.dir.locked(func() (err error) {
		if next, err = readNext(file); next != nil || err != nil {
			return err
		}
		if next, err = newKeyLike(old); err != nil {
			return err
		}
		text, err := keyPEM(next)
		if err != nil {
			return err
		}
		return durable.Keep(file+nextSuffix, file, text, durable.Private)
	})
	return next, err
}

// newKeyLike makes a key of the same kind.
func newKeyLike(old crypto.Signer) (crypto.Signer, error) {
	switch k := old.(type) {
	case *ecdsa.PrivateKey:
		return ecdsa.GenerateKey(k.Curve, rand.Reader)
	case *rsa.PrivateKey:
		return rsa.GenerateKey(rand.Reader, k.N.BitLen())
	case ed25519.PrivateKey:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("a key of type %T cannot be replaced here", old)
}

// registerNext asks the authority to register a key in the place of another one. Both sign.
func (e endpoint) registerNext(ctx context.Context, t *trust, agent string, old, next crypto.Signer) error {
	sum, err := sumOf(next)
	if err != nil {
		return err
	}
	var doc struct {
		CSR       string `json:"csr"`
		Assertion string `json:"client_assertion"`
	}
	if doc.Assertion, err = assertion(old, agent, e.url, time.Now(), "next_key", strict.ToBase64(sum[:])); err != nil {
		return err
	}
	if doc.CSR, err = newRequest(next, nil); err != nil {
		return err
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	_, err = e.as(t).post(ctx, t.config(), "/v1/keys", "application/json", body)
	return err
}
