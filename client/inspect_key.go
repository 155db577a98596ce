package client

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/brevet-ca/brevet/pqc"
)

// A verificationKey is a public key, of which one of the two is set.
type verificationKey struct {
	id        string // kid of a JWK
	alg       string // of JOSE, the only one that it is used with; "" for none
	pq        *pqc.PublicKey
	classical crypto.PublicKey
}

// AddKeys adds public keys: a JWK or a JWK set (RFC 7517; RFC 9964), or
// SubjectPublicKeyInfos, one in DER or any number in PEM blocks "PUBLIC KEY".
// Keys in a set that are not understood are passed over, as long as one is; a
// secret or private one, or two with one kid, spoil the set.
func (i *Inspector) AddKeys(file []byte) error {
	keys, err := readKeys(file)
	if err == nil {
		i.keys = append(i.keys, keys...)
	}
	return err
}

func readKeys(file []byte) ([]verificationKey, error) {
	if bytes.Contains(file, pemBegin) || bytes.HasPrefix(file, []byte{0x30}) { // DER, for no JSON object begins with it
		return readPEMKeys(file)
	}
	if len(file) > MaxFile {
		return nil, fmt.Errorf("it has more than %d octets", MaxFile)
	}
	doc, err := readObject(file)
	if err != nil {
		return nil, err
	}
	set, isSet := doc["keys"]
	if !isSet {
		k, err := readJWK(file)
		return []verificationKey{k}, err
	}
	var all []json.RawMessage
	if err := json.Unmarshal(set, &all); err != nil || len(all) > maxBlocks {
		return nil, fmt.Errorf("keys must be an array of 1 to %d JWKs", maxBlocks)
	}
	var keys []verificationKey
	err = errors.New("the set holds no key")
	for _, raw := range all {
		k, keyErr := readJWK(raw)
		switch {
		case errors.Is(keyErr, errSecret):
			return nil, keyErr
		case k.id != "" && slices.ContainsFunc(keys, func(other verificationKey) bool { return other.id == k.id }):
			return nil, fmt.Errorf("two keys of the set have the kid %.100q", k.id)
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

func readPEMKeys(file []byte) ([]verificationKey, error) {
	ders, err := readDER(file, MaxFile, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	var keys []verificationKey
	for _, der := range ders {
		k := verificationKey{}
		k.pq, err = pqc.ParsePKIXPublicKey(der)
		if errors.Is(err, pqc.ErrUnknownAlgorithm) {
			k.classical, err = x509.ParsePKIXPublicKey(der)
		}
		if err != nil {
			return nil, err
		}
		if k.alg, err = k.algorithm(); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// algorithm returns the one of JOSE that the key is used with, which its kind
// decides (RFC 7518, section 3; RFC 8037, section 3.1; RFC 9964, section 3), save
// for RSA, where a JWK may name another than RS256.
func (k *verificationKey) algorithm() (string, error) {
	switch key := k.classical.(type) {
	case nil:
		return k.pq.Algorithm().JOSE(), nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return string(jose.ES256), nil
		case elliptic.P384():
			return string(jose.ES384), nil
		case elliptic.P521():
			return string(jose.ES512), nil
		}
	case ed25519.PublicKey:
		return string(jose.EdDSA), nil
	case *rsa.PublicKey:
		return string(jose.RS256), checkRSA(key)
	}
	return "", fmt.Errorf("a key of type %T or its curve is not understood", k.classical)
}

// errSecret says that a key is one that nobody should have sent.
var errSecret = errors.New("JWK: a private or secret key stands where a public key is expected")

// readJWK reads one public JWK.
func readJWK(raw []byte) (verificationKey, error) {
	var k verificationKey
	members, err := readObject(raw)
	if err != nil {
		return k, err
	}
	if id, ok := members["kid"]; ok && !textOf(id, &k.id) {
		return k, errors.New("JWK: kid must be a string")
	}
	for _, name := range []string{"d", "k", "priv"} { // RFC 7518, section 6; RFC 9964, section 3
		if _, ok := members[name]; ok {
			return k, errSecret
		}
	}
	if string(members["kty"]) == `"AKP"` {
		if k.pq, err = pqc.ParseJWK(raw); err != nil {
			return k, err
		}
		k.alg, err = k.algorithm()
		return k, err
	}
	var read jose.JSONWebKey
	if err := read.UnmarshalJSON(raw); err != nil {
		return k, fmt.Errorf("JWK: %w", err)
	}
	if !read.Valid() || !read.IsPublic() {
		return k, errors.New("JWK: the key is not a valid public key")
	}
	k.classical = read.Key
	if k.alg, err = k.algorithm(); err != nil {
		return k, fmt.Errorf("JWK: %w", err)
	}
	_, isRSA := k.classical.(*rsa.PublicKey)
	if _, ok := rsaAlgorithms[read.Algorithm]; ok && isRSA {
		k.alg = read.Algorithm
	}
	if read.Algorithm != "" && read.Algorithm != k.alg {
		return k, fmt.Errorf("JWK: the key is for %.40q, such a key can be for %s", read.Algorithm, k.alg)
	}
	return k, checkUse(read.Use, members["key_ops"])
}

// checkUse checks that a key may verify signatures (RFC 7517, sections 4.2 and
// 4.3).
func checkUse(use string, ops json.RawMessage) error {
	var list []string
	if ops != nil && (json.Unmarshal(ops, &list) != nil || !slices.Contains(list, "verify")) || use != "" && use != "sig" {
		return errors.New("JWK: the key is not for verifying signatures")
	}
	return nil
}
