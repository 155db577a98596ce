package pqc

import (
	"slices"
	"testing"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// mutations returns what every parser of a DER form must refuse.
func mutations(good []byte) map[string][]byte {
	// The outer header is 30 82 hh ll here, or 30 ll for short keys.
	indefinite := append([]byte{0x30, 0x80}, append(content(good), 0, 0)...)
	longer := append([]byte{0x30, 0x83, 0}, append([]byte{byte(len(content(good)) >> 8), byte(len(content(good)))}, content(good)...)...)
	return map[string][]byte{
		"nothing":            {},
		"a trailing octet":   append(slices.Clone(good), 0),
		"cut off":            good[:len(good)-1],
		"indefinite length":  indefinite,
		"non-minimal length": longer,
		"another tag":        append([]byte{0x31}, good[1:]...),
	}
}

func content(der []byte) []byte {
	if der[1] < 0x80 {
		return der[2:]
	}
	return der[2+int(der[1]&0x7f):]
}

func TestSPKIRefusals(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, alg Algorithm) {
		raw := testKey(t, alg).PublicKey().Bytes()
		good := spkiDER(alg.Identifier(), raw)
		if _, err := ParsePKIXPublicKey(good); err != nil {
			t.Fatal(err)
		}
		oid := content(alg.Identifier())
		bad := mutations(good)
		bad["NULL parameters"] = sequence(sequence(oid, []byte{5, 0}), bitString(raw))
		bad["empty parameters"] = sequence(sequence(oid, []byte{0x30, 0}), bitString(raw))
		bad["unused bits"] = sequence(alg.Identifier(), der(cbasn1.BIT_STRING, []byte{1}, raw))
		bad["a second BIT STRING"] = sequence(alg.Identifier(), bitString(raw), bitString(raw))
		bad["an OCTET STRING inside"] = sequence(alg.Identifier(), bitString(octetString(raw)))
		bad["an OCTET STRING instead"] = sequence(alg.Identifier(), octetString(raw))
		bad["one octet less"] = spkiDER(alg.Identifier(), raw[:len(raw)-1])
		bad["one octet more"] = spkiDER(alg.Identifier(), append(slices.Clone(raw), 0))
		bad["no key"] = spkiDER(alg.Identifier(), nil)
		bad["half a key"] = spkiDER(alg.Identifier(), raw[:alg.row().mldsa.publicKeySize-boolInt(!alg.Composite())])
		bad["the OID not minimal"] = sequence(sequence(append([]byte{6, oid[1] + 1, oid[2], 0x80}, oid[3:]...)), bitString(raw))
		for name, der := range bad {
			if _, err := ParsePKIXPublicKey(der); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	})
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestPKCS8Refusals(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, alg Algorithm) {
		k := testKey(t, alg)
		good, err := MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		inner := raw
		if !alg.Composite() {
			inner = der(seedTag, raw)
		}
		version, oid := []byte{2, 1, 0}, content(alg.Identifier())
		pub := k.PublicKey().Bytes()
		other := slices.Clone(pub)
		other[0] ^= 1
		v1 := sequence([]byte{2, 1, 1}, alg.Identifier(), octetString(inner), der(publicTag, []byte{0}, pub))
		if got, err := ParsePKCS8PrivateKey(v1); err != nil || !got.Equal(k) {
			t.Errorf("version 1 with the public key: %v", err)
		}
		bad := mutations(good)
		bad["NULL parameters"] = sequence(version, sequence(oid, []byte{5, 0}), octetString(inner))
		bad["version 2"] = sequence([]byte{2, 1, 2}, alg.Identifier(), octetString(inner))
		bad["version 1 alone"] = sequence([]byte{2, 1, 1}, alg.Identifier(), octetString(inner))
		bad["version 0, two octets"] = sequence([]byte{2, 2, 0, 0}, alg.Identifier(), octetString(inner))
		bad["version 0 with a public key"] = sequence(version, alg.Identifier(), octetString(inner), der(publicTag, []byte{0}, pub))
		bad["another public key"] = sequence([]byte{2, 1, 1}, alg.Identifier(), octetString(inner), der(publicTag, []byte{0}, other))
		bad["unused bits in the public key"] = sequence([]byte{2, 1, 1}, alg.Identifier(), octetString(inner), der(publicTag, []byte{1}, pub))
		bad["attributes"] = sequence(version, alg.Identifier(), octetString(inner), []byte{0xa0, 0})
		bad["one octet less"] = pkcs8(alg, inner[:len(inner)-1])
		bad["one octet more"] = pkcs8(alg, append(slices.Clone(inner), 0))
		bad["a bare OCTET STRING"] = pkcs8(alg, octetString(raw))
		bad["expandedKey"] = pkcs8(alg, octetString(expanded(t, k)))
		if alg.Composite() {
			bad["both"] = pkcs8(alg, sequence(octetString(raw), octetString(expanded(t, k))))
		} else {
			wrong := expanded(t, k)
			wrong[len(wrong)-1] ^= 1
			bad["both that disagree"] = pkcs8(alg, sequence(octetString(raw), octetString(wrong)))
			bad["both, one of them empty"] = pkcs8(alg, sequence(octetString(raw), octetString(nil)))
			bad["both and more"] = pkcs8(alg, sequence(octetString(raw), octetString(expanded(t, k)), octetString(nil)))
			bad["both, the other way round"] = pkcs8(alg, sequence(octetString(expanded(t, k)), octetString(raw)))
		}
		bad["a short seed"] = pkcs8(alg, der(seedTag, raw[:31]))
		bad["the raw key twice"] = pkcs8(alg, append(slices.Clone(inner), inner...))
		if !alg.Composite() {
			bad["the seed without its tag"] = pkcs8(alg, raw)
		} else {
			bad["the seed alone"] = pkcs8(alg, raw[:seedSize])
		}
		for name, der := range bad {
			if _, err := ParsePKCS8PrivateKey(der); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	})
}
