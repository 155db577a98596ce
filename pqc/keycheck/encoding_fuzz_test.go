package keycheck_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"slices"
	"testing"

	"github.com/brevet-ca/brevet/pqc/keycheck"
)

// FuzzEncodingP256: the short way for P-256 agrees with marshaling.
func FuzzEncodingP256(f *testing.F) {
	der, err := x509.MarshalPKIXPublicKey(newECDSA(f, elliptic.P256()).Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(append(slices.Clone(der), 0))
	for i := range 26 {
		changed := slices.Clone(der)
		changed[i]++
		f.Add(changed)
	}
	f.Fuzz(func(t *testing.T, spki []byte) {
		public, err := x509.ParsePKIXPublicKey(spki)
		if err != nil {
			return
		}
		usual, err := x509.MarshalPKIXPublicKey(public)
		if got := keycheck.Encoding(spki, public) == nil; got != (err == nil && bytes.Equal(usual, spki)) {
			t.Errorf("%x: accepted is %t", spki, got)
		}
	})
}
