package pqc_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/brevet-ca/brevet/pqc"
)

// A key signs messages, not their hashes.
func Example() {
	key, err := pqc.GenerateKey(pqc.MLDSA65ECDSAP256SHA512)
	if err != nil {
		log.Fatal(err)
	}
	message := []byte("what is to be signed")
	signature, err := key.Sign(nil, message, nil)
	if err != nil {
		log.Fatal(err)
	}
	public := key.PublicKey()
	fmt.Println(public.Algorithm(), public.Verify(message, signature), public.Verify([]byte("something else"), signature))
	// Output: MLDSA65-ECDSA-P256-SHA512 true false
}

// Half of a composite signature does not verify.
func ExamplePublicKey_Verify() {
	key, err := pqc.GenerateKey(pqc.MLDSA65Ed25519SHA512)
	if err != nil {
		log.Fatal(err)
	}
	message := []byte("what is to be signed")
	signature, err := key.Sign(nil, message, nil)
	if err != nil {
		log.Fatal(err)
	}
	half := signature[:pqc.MLDSA65.SignatureSize()]
	fmt.Println(len(signature), key.PublicKey().Verify(message, signature))
	fmt.Println(len(half), key.PublicKey().Verify(message, half))
	// Output:
	// 3373 true
	// 3309 false
}

// A context keeps the signatures of one use apart from those of another.
func ExampleOptions() {
	key, err := pqc.GenerateKey(pqc.MLDSA44)
	if err != nil {
		log.Fatal(err)
	}
	message := []byte("what is to be signed")
	signature, err := key.Sign(nil, message, &pqc.Options{Context: []byte("backups")})
	if err != nil {
		log.Fatal(err)
	}
	for _, context := range []string{"backups", "updates", ""} {
		fmt.Printf("%q: %v\n", context, key.PublicKey().VerifyWithOptions(message, signature, &pqc.Options{Context: []byte(context)}))
	}
	// Output:
	// "backups": true
	// "updates": false
	// "": false
}

// A key of another algorithm is refused with ErrUnknownAlgorithm: the standard
// library may know it.
func ExampleParsePKIXPublicKey() {
	key, err := pqc.GenerateKey(pqc.MLDSA65)
	if err != nil {
		log.Fatal(err)
	}
	der := pqc.MarshalPKIXPublicKey(key.PublicKey())
	public, err := pqc.ParsePKIXPublicKey(der)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(der), public.Algorithm(), public.Equal(key.Public()))

	_, err = pqc.ParsePKIXPublicKey(append(der, 0))
	fmt.Println(errors.Is(err, pqc.ErrUnknownAlgorithm), err)
	// Output:
	// 1974 ML-DSA-65 true
	// false a SubjectPublicKeyInfo must be one DER SEQUENCE
}

// A private key in PKCS #8 is its seed.
func ExampleMarshalPKCS8PrivateKey() {
	key, err := pqc.NewPrivateKey(pqc.MLDSA65, make([]byte, 32)) // a seed for examples alone
	if err != nil {
		log.Fatal(err)
	}
	der, err := pqc.MarshalPKCS8PrivateKey(key)
	if err != nil {
		log.Fatal(err)
	}
	again, err := pqc.ParsePKCS8PrivateKey(der)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d octets, %x\n", len(der), der[:24])
	fmt.Println(again.Equal(key), key)
	// Output:
	// 54 octets, 3034020100300b0609608648016503040312042280200000
	// true [hidden]
}

// The algorithm of a JWS is the key's, whatever its header asks for.
func ExamplePublicKey_VerifyJWS() {
	key, err := pqc.GenerateKey(pqc.MLDSA65)
	if err != nil {
		log.Fatal(err)
	}
	input := []byte("eyJhbGciOiJNTC1EU0EtNjUifQ.e30") // {"alg":"ML-DSA-65"} and {}
	signature, err := key.Sign(nil, input, nil)
	if err != nil {
		log.Fatal(err)
	}
	text, err := key.PublicKey().JWK()
	if err != nil {
		log.Fatal(err)
	}
	public, err := pqc.ParseJWK(text)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(public.VerifyJWS("ML-DSA-65", input, signature), public.VerifyJWS("ML-DSA-44", input, signature))
	// Output: true false
}

// A component of a composite must not be a key anywhere else.
func ExamplePublicKey_ComponentIDs() {
	composite, err := pqc.GenerateKey(pqc.MLDSA44Ed25519SHA512)
	if err != nil {
		log.Fatal(err)
	}
	half, err := pqc.NewPublicKey(pqc.MLDSA44, composite.PublicKey().Bytes()[:pqc.MLDSA44.PublicKeySize()])
	if err != nil {
		log.Fatal(err)
	}
	whole, err := composite.PublicKey().ComponentIDs()
	if err != nil {
		log.Fatal(err)
	}
	alone, err := half.ComponentIDs()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(whole), len(alone), whole[0] == alone[0])
	// Output: 2 1 true
}
