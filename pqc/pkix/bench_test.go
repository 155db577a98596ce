package pkix

import (
	"crypto/rand"
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
)

// BenchmarkSignCertificate signs an encoded TBSCertificate in every mode, beside
// crypto/x509, which also encodes it and verifies what it signed.
func BenchmarkSignCertificate(b *testing.B) {
	for _, m := range modes {
		issuing := newCA(b, m, "issuing", nil)
		leaf := newLeaf(b, "leaf.example", issuing)
		tbs := tbsOf(b, issuing, leaf)
		if m == classicalMode {
			key := issuing.signer.key
			b.Run("x509.CreateCertificate", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := x509.CreateCertificate(rand.Reader, leaf.template, issuing.template, leaf.signer.key.Public(), key); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(string(m), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := issuing.signer.SignCertificate(tbs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkIssuance takes a request of a P-256 key, checks it and signs a certificate, in
// every mode and in turn with the classical one: x-classical is the ratio. All of the
// program around it is in BenchmarkKinds of cmd/brevet.
func BenchmarkIssuance(b *testing.B) {
	request := must(CreateCSR(csrTemplate, newSigner(b, classicalMode)))(b)
	issue := func(m mode) func() {
		issuing := newCA(b, m, "issuing", nil)
		tbs := tbsOf(b, issuing, newLeaf(b, "leaf.example", issuing))
		return func() {
			must(must(ParseCSR(request))(b).CheckSignature())(b)
			must(issuing.signer.SignCertificate(tbs))(b)
		}
	}
	classical := issue(classicalMode)
	for _, m := range modes {
		ours := issue(m)
		b.Run(string(m), func(b *testing.B) {
			x, y := inTurn(b, ours, classical)
			b.ReportMetric(x/y, "x-classical")
		})
	}
}

// inTurn runs both as often, and returns the median nanoseconds of each. The first is
// reported as ns/op.
func inTurn(b *testing.B, f, g func()) (first, second float64) {
	var spent [2][]time.Duration
	for n := 0; b.Loop(); n++ {
		for i := range 2 {
			which := (n + i) % 2 // either is first as often as the other
			start := time.Now()
			[]func(){f, g}[which]()
			spent[which] = append(spent[which], time.Since(start))
		}
	}
	var median [2]float64
	for i, all := range spent {
		slices.Sort(all)
		median[i] = float64(all[len(all)/2])
	}
	b.ReportMetric(median[0], "ns/op")
	return median[0], median[1]
}

// BenchmarkIssuerKey signs with a key that is kept and, in turn, with one that is
// parsed each time.
func BenchmarkIssuerKey(b *testing.B) {
	issuing := newCA(b, compositeMode, "issuing", nil)
	tbs := tbsOf(b, issuing, newLeaf(b, "leaf.example", issuing))
	der := must(pqc.MarshalPKCS8PrivateKey(issuing.signer.key.(*pqc.PrivateKey)))(b)
	cached, uncached := inTurn(b, func() { must(issuing.signer.SignCertificate(tbs))(b) }, func() {
		s := must(NewSigner(must(pqc.ParsePKCS8PrivateKey(der))(b)))(b)
		must(s.SignCertificate(tbs))(b)
	})
	b.ReportMetric(uncached, "uncached-ns/op")
	b.ReportMetric(uncached/cached, "x-cached")
}

// BenchmarkVerify checks a path of three, with the issuers parsed before and, in turn,
// parsed each time, beside crypto/x509.
func BenchmarkVerify(b *testing.B) {
	for _, m := range modes {
		root := newCA(b, m, "root", nil)
		issuing := newCA(b, m, "issuing", root)
		leaf := newLeaf(b, "leaf.example", issuing)
		if m == classicalMode {
			roots, others := x509.NewCertPool(), x509.NewCertPool()
			roots.AddCert(root.X509)
			others.AddCert(issuing.X509)
			b.Run("x509.Verify", func(b *testing.B) {
				for b.Loop() {
					c := must(x509.ParseCertificate(leaf.X509.Raw))(b)
					must(c.Verify(x509.VerifyOptions{Roots: roots, Intermediates: others, CurrentTime: now}))(b)
				}
			})
		}
		o := options(root, issuing)
		o.RequireHybrid = m != classicalMode
		b.Run(string(m), func(b *testing.B) {
			cached, uncached := inTurn(b, func() { must(must(ParseCertificate(leaf.X509.Raw))(b).Verify(o))(b) }, func() {
				o := *o
				o.Roots = []*Certificate{must(ParseCertificate(root.X509.Raw))(b)}
				o.Intermediates = []*Certificate{must(ParseCertificate(issuing.X509.Raw))(b)}
				must(must(ParseCertificate(leaf.X509.Raw))(b).Verify(&o))(b)
			})
			b.ReportMetric(uncached, "uncached-ns/op")
			b.ReportMetric(uncached/cached, "x-cached")
		})
	}
}
