package inspect

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/pqc/keycheck"
)

// AddKeys adds public keys: a JWK or a JWK set (RFC 7517; RFC 9964), or
// SubjectPublicKeyInfos, one in DER or any number in PEM blocks "PUBLIC KEY".
// Unknown kinds of keys in a set are skipped, as long as one key is known. A set with
// a secret or private key, or with two keys of one kid, is refused.
func (i *Inspector) AddKeys(file []byte) error {
	keys, err := readKeys(file)
	if err == nil {
		i.keys = append(i.keys, keys...)
	}
	return err
}

func readKeys(file []byte) ([]jose.Key, error) {
	if bytes.Contains(file, pemBegin) || bytes.HasPrefix(file, []byte{0x30}) { // DER, for no JSON object begins with it
		return readPEMKeys(file)
	}
	if len(file) > MaxFile {
		return nil, fmt.Errorf("it has more than %d octets", MaxFile)
	}
	doc, err := strict.ParseObject(file)
	if err != nil {
		return nil, err
	}
	if !doc.Has("keys") {
		k, err := readJWK(file)
		return []jose.Key{k}, err
	}
	var all []json.RawMessage
	if err := doc.Read(map[string]any{"keys": &all}); err != nil || len(all) > maxBlocks {
		return nil, fmt.Errorf("keys must be an array of 1 to %d JWKs", maxBlocks)
	}
	var keys []jose.Key
	err = errors.New("the set holds no key")
	for _, raw := range all {
		k, keyErr := readJWK(raw)
		switch {
		case errors.Is(keyErr, jose.ErrSecret):
			return nil, keyErr
		case k.ID != "" && slices.ContainsFunc(keys, func(other jose.Key) bool { return other.ID == k.ID }):
			return nil, fmt.Errorf("two keys of the set have the kid %.100q", k.ID)
		case keyErr != nil:
			err = keyErr
		default:
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, err
	}
	return keys, nil
}

func readPEMKeys(file []byte) ([]jose.Key, error) {
	ders, err := readDER(file, MaxFile, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	var keys []jose.Key
	for _, der := range ders {
		k := jose.Key{}
		pq, err := pqc.ParsePKIXPublicKey(der)
		if k.Public = pq; errors.Is(err, pqc.ErrUnknownAlgorithm) {
			k.Public, err = x509.ParsePKIXPublicKey(der)
		}
		if err != nil {
			return nil, err
		}
		if err := keycheck.Others.Check(k.Public); err != nil {
			return nil, err
		}
		// Composites without a name in JOSE verify X.509 alone.
		k.Algorithm, _ = jose.Algorithm(k.Public)
		keys = append(keys, k)
	}
	return keys, nil
}

// readJWK reads one public JWK.
func readJWK(raw []byte) (jose.Key, error) {
	k, err := jose.ParseKey(raw)
	if err == nil {
		err = keycheck.Others.Check(k.Public)
	}
	return k, err
}
