package file

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage/keys"
)

// marshalPrivate returns the PKCS #8 form of each half of a key.
func marshalPrivate(k crypto.Signer) ([][]byte, error) {
	switch k := k.(type) {
	case keys.AlternativeSigner:
		classical, err := marshalPrivate(k.Signer)
		if err != nil {
			return nil, err
		}
		alternative, err := marshalPrivate(k.Alternative)
		return append(classical, alternative...), err
	case *pqc.PrivateKey:
		der, err := pqc.MarshalPKCS8PrivateKey(k)
		return [][]byte{der}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	return [][]byte{der}, err
}

// parsePrivate reads what marshalPrivate wrote, or openssl. The public half of
// the result is computed from the private one, never taken from der. The error
// says nothing of the bytes in der.
func parsePrivate(der []byte) (crypto.Signer, error) {
	var whole asn1.RawValue // crypto/x509 ignores what follows the key
	rest, err := asn1.Unmarshal(der, &whole)
	if err != nil || len(rest) > 0 {
		return nil, errNotPKCS8
	}
	pq, err := pqc.ParsePKCS8PrivateKey(der)
	if err == nil {
		return pq, nil
	}
	if !errors.Is(err, pqc.ErrUnknownAlgorithm) {
		return nil, errNotPKCS8
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errNotPKCS8
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("holds a %T, which cannot sign", key)
	}
	return signer, nil
}
