package client

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"
)

// FuzzBundle: an accepted file holds valid lists in PEM and nothing else. Written again from
// what was read, it differs only in white space.
func FuzzBundle(f *testing.F) {
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	good := listPEM(f, now, time.Hour)
	f.Add([]byte(good))
	f.Add([]byte(good + "\n" + listPEM(f, now, time.Minute)))
	f.Add([]byte(good + listPEM(f, now.Add(-time.Hour), time.Minute)))
	f.Add([]byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if checkBundle(text, now) != nil {
			return
		}
		var again []byte
		for rest := text; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			l, err := x509.ParseRevocationList(block.Bytes)
			if err != nil || !now.Before(l.NextUpdate) {
				t.Fatalf("it was accepted with a list that ends at %v: %v", l, err)
			}
			again = append(again, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
		}
		if len(again) == 0 || checkBundle(again, now) != nil {
			t.Errorf("accepted was %q, and not %q", text, again)
		}
		if strip(again) != strip(text) {
			t.Errorf("there is more in %q than lists", text)
		}
	})
}

func strip(text []byte) string { return string(bytes.Join(bytes.Fields(text), nil)) }
