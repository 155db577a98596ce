package main

import "testing"

// BenchmarkKinds issues certificates to 32 clients as BenchmarkWholeProgram
// does, by an authority of each kind: read the others as a ratio to the first.
func BenchmarkKinds(b *testing.B) {
	for _, algorithm := range []string{
		"ecdsa-p256", "ecdsa-p256+mldsa44", "ecdsa-p256+mldsa65", "mldsa65", "mldsa44-ed25519-sha512", "mldsa65-ecdsa-p256-sha512",
	} {
		t := startBrevet(b, 32, "--algorithm", algorithm)
		b.Run(algorithm, func(b *testing.B) { load(b, t, t.certificate()) })
	}
}
