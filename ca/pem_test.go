package ca_test

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"testing"

	"github.com/brevet-ca/brevet/ca"
)

func TestPEM(t *testing.T) {
	var want []byte
	var all [][]byte
	for n := range 200 {
		der := make([]byte, n)
		rand.Read(der)
		one := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if got := ca.PEM(der); !bytes.Equal(got, one) || cap(got) > len(got)+16 {
			t.Errorf("%d octets, with room for %d:\n%swant\n%s", n, cap(got), got, one)
		}
		all, want = append(all, der), append(want, one...)
	}
	if !bytes.Equal(ca.PEM(all...), want) {
		t.Error("many differ from one after the other")
	}
}
