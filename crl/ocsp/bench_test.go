package ocsp_test

import (
	"bytes"
	"context"
	"crypto"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage/keys"
)

// BenchmarkAnswer answers about one certificate, for an issuer of each kind: with a
// fresh signature each time, as if a minute had passed, and from the cache. The
// signature alone is the reference.
func BenchmarkAnswer(b *testing.B) {
	for _, algorithm := range []keys.Algorithm{keys.ECDSAP256, keys.Ed25519, "mldsa65", "mldsa44-ed25519-sha512", "mldsa65-ecdsa-p256-sha512", "mldsa65-rsa3072-pss-sha512"} {
		w := newWorld(b, algorithm)
		l := w.issue("bot")
		request := w.request(l, crypto.SHA1)
		respond := func(b *testing.B, d time.Duration) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Respond(context.Background(), request); err != nil {
					b.Fatal(err)
				}
				w.pass(d)
			}
		}
		data := bytes.Clone(open(b, w.respond(l).DER).TBS.FullBytes)
		b.Run(string(algorithm)+"/signature", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.CA.Issuer().Signer.SignOCSP(data); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(algorithm)+"/anew", func(b *testing.B) { respond(b, time.Minute) })
		b.Run(string(algorithm)+"/again", func(b *testing.B) { respond(b, 0) })
	}
}
