package keys_test

import (
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage/keys"
)

// TestMessage signs with each kind of key. Each half has a signature of its own, which
// nothing else passes for.
func TestMessage(t *testing.T) {
	message := []byte("brevet test\n")
	for _, a := range []keys.Algorithm{"ecdsa-p256", "ecdsa-p384", "ed25519", "ecdsa-p256+mldsa44", "mldsa44-ed25519-sha512", "mldsa65"} {
		k, private, err := keys.Trial(keys.Issuer, a, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		signatures, err := keys.SignMessage(private, message)
		if err != nil {
			t.Fatal(err)
		}
		halves := [][]byte{k.Public}
		if len(k.Alternative) > 0 {
			halves = append(halves, k.Alternative)
		}
		if len(signatures) != len(halves) {
			t.Fatalf("%s: %d signatures, want %d", a, len(signatures), len(halves))
		}
		for i, spki := range halves {
			for j, sig := range signatures {
				if got := keys.VerifyMessage(spki, message, sig); got != (i == j) {
					t.Errorf("%s: half %d verifies signature %d: %t", a, i, j, got)
				}
			}
			if keys.VerifyMessage(spki, append([]byte("x"), message...), signatures[i]) || keys.VerifyMessage(spki[1:], message, signatures[i]) || keys.VerifyMessage(spki, message, nil) {
				t.Errorf("%s: half %d verifies what it did not sign", a, i)
			}
		}
	}
}
