package client

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"math/big"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// rsaAlgorithms are those of JOSE that an RSA key may be used with, by the hash (RFC
// 7518, sections 3.3 and 3.5). A key that does not say which is used with RS256.
var rsaAlgorithms = map[string]crypto.Hash{
	string(jose.RS256): crypto.SHA256, string(jose.RS384): crypto.SHA384, string(jose.RS512): crypto.SHA512,
	string(jose.PS256): crypto.SHA256, string(jose.PS384): crypto.SHA384, string(jose.PS512): crypto.SHA512,
}

func checkRSA(k *rsa.PublicKey) error {
	if k.N.BitLen() < 2048 || k.N.BitLen() > 8192 || k.E < 3 {
		return errors.New("an RSA key must have 2048 to 8192 bits and an exponent from 3 on")
	}
	if isROCA(k.N) {
		return errors.New("the RSA key was made by a chip whose keys can be factored (CVE-2017-15361): it must be replaced")
	}
	return nil
}

// isROCA tells the moduli of CVE-2017-15361: modulo every small prime they are powers
// of 65537. Of others, one in 2^27 or less passes for one of them.
func isROCA(n *big.Int) bool {
	for _, p := range []int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157} {
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		powers := []int64{1}
		for x := int64(65537) % p; x != 1; x = x * 65537 % p {
			powers = append(powers, x)
		}
		if !slices.Contains(powers, rest) {
			return false
		}
	}
	return true
}

// verifyPSS takes a salt as long as the hash, which go-jose does not insist on (RFC
// 7518, section 3.5).
func verifyPSS(k *rsa.PublicKey, alg, input string, sig []byte) bool {
	hash := rsaAlgorithms[alg]
	h := hash.New()
	h.Write([]byte(input))
	return rsa.VerifyPSS(k, hash, h.Sum(nil), sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
}
