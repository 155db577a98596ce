package pqc

import (
	"crypto/sha256"
	"slices"
	"testing"
	"time"
)

// TestMLDSASlowsNothingElse compares the time of SHA-256 before and after a
// signature. On amd64 it took up to ten times as long afterwards.
func TestMLDSASlowsNothingElse(t *testing.T) {
	_, key := mldsa65Set.expand(new([seedSize]byte))
	data := make([]byte, 64<<10)
	hash := func() time.Duration {
		begin := time.Now()
		sha256.Sum256(data)
		return time.Since(begin)
	}
	var before, after []time.Duration
	for range 50 {
		before = append(before, hash())
		if _, err := key.sign(data[:32], nil, true); err != nil {
			t.Fatal(err)
		}
		after = append(after, hash())
		clearVectors() // for the next round
	}
	if b, a := slices.Min(before), slices.Min(after); a > 3*b {
		t.Errorf("64 kB take %s, and %s after a signature", b, a)
	}
}
