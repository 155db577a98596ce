package ca_test

import (
	"context"
	"testing"

	"crypto/elliptic"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// BenchmarkIssue issues, with the record and its event made durable, by an
// issuer of each kind: alone and with 32 at a time.
func BenchmarkIssue(b *testing.B) {
	for _, algorithm := range []keys.Algorithm{
		keys.ECDSAP256, "ecdsa-p256+mldsa44", "ecdsa-p256+mldsa65", "mldsa44", "mldsa65", "mldsa44-ed25519-sha512", "mldsa65-ecdsa-p256-sha512", "mldsa87-ecdsa-p384-sha512",
	} {
		w := newWorld(b, func(p *catest.Plan) { p.Algorithm = algorithm })
		w.Add("api", agents.Change{})
		r := ca.Request{Claim: catest.Claim("api").By(audit.ClientCertificate("")), CSR: csr(b, newECDSA(b, elliptic.P256()), nil)}
		issue := func(b *testing.B) {
			if _, err := w.Issue(context.Background(), r); err != nil {
				b.Error(err)
			}
		}
		b.Run(string(algorithm)+"/writers=1", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				issue(b)
			}
		})
		b.Run(string(algorithm)+"/writers=32", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					issue(b)
				}
			})
		})
	}
}
