package pkix

import (
	"crypto/rand"
	"crypto/x509"
	"testing"

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

// BenchmarkIssuerKey signs with a key that is kept, and with one that is read anew.
func BenchmarkIssuerKey(b *testing.B) {
	issuing := newCA(b, compositeMode, "issuing", nil)
	tbs := tbsOf(b, issuing, newLeaf(b, "leaf.example", issuing))
	der := must(pqc.MarshalPKCS8PrivateKey(issuing.signer.key.(*pqc.PrivateKey)))(b)
	b.Run("cached", func(b *testing.B) {
		for b.Loop() {
			must(issuing.signer.SignCertificate(tbs))(b)
		}
	})
	b.Run("uncached", func(b *testing.B) {
		for b.Loop() {
			s := must(NewSigner(must(pqc.ParsePKCS8PrivateKey(der))(b)))(b)
			must(s.SignCertificate(tbs))(b)
		}
	})
}

// BenchmarkVerify checks a path of three, with the issuers parsed before and with all
// of them read anew, beside crypto/x509.
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
		b.Run(string(m)+"/cached", func(b *testing.B) {
			for b.Loop() {
				must(must(ParseCertificate(leaf.X509.Raw))(b).Verify(o))(b)
			}
		})
		b.Run(string(m)+"/uncached", func(b *testing.B) {
			for b.Loop() {
				o := *o
				o.Roots = []*Certificate{must(ParseCertificate(root.X509.Raw))(b)}
				o.Intermediates = []*Certificate{must(ParseCertificate(issuing.X509.Raw))(b)}
				must(must(ParseCertificate(leaf.X509.Raw))(b).Verify(&o))(b)
			}
		})
	}
}
