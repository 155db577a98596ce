package pkix

import (
	"crypto/x509"
	"errors"
	"slices"
	"testing"
)

// TestEveryChain builds chains whose root and issuing CA sign in every mode, and checks
// what protects them, with revocation and with hybrid signatures required.
func TestEveryChain(t *testing.T) {
	for _, above := range modes {
		root := newCA(t, above, "root", nil)
		for _, below := range modes {
			t.Run(string(above+"-"+below), func(t *testing.T) {
				issuing := newCA(t, below, "issuing", root)
				leaf := newLeaf(t, "leaf.example", issuing)
				o := options(root, issuing)
				o.Host = "leaf.example"
				o.CRLs = []*CRL{newCRL(t, root), newCRL(t, issuing)}
				o.RequireCRLs = true
				p := verified(t, leaf, o)
				if want := []Protection{protections[below], protections[above]}; !slices.Equal(p.Protections, want) {
					t.Errorf("protections: got %v, want %v", p.Protections, want)
				}
				if len(p.Certificates) != 3 || p.Certificates[2] != root.Certificate {
					t.Errorf("the path is %v", p.Certificates)
				}
				o.RequireHybrid = true
				_, err := leaf.Verify(o)
				if want := above != classicalMode && below != classicalMode; want != (err == nil) {
					t.Errorf("hybrid: got %v, want %t", err, want)
				}
				if err != nil && !errors.Is(err, ErrNotHybrid) {
					t.Errorf("got %v, want %v", err, ErrNotHybrid)
				}
				checkStandardLibrary(t, root, issuing, leaf, above, below)
			})
		}
	}
}

// checkStandardLibrary checks that crypto/x509 sees an alternative signature as a
// classical one, and refuses the other two kinds.
func checkStandardLibrary(t *testing.T, root, issuing, leaf *entity, above, below mode) {
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root.X509)
	others.AddCert(issuing.X509)
	_, err := leaf.X509.Verify(x509.VerifyOptions{Roots: roots, Intermediates: others, CurrentTime: now, DNSName: "leaf.example"})
	stock := func(m mode) bool { return m == classicalMode || m == alternativeMode }
	if want := stock(above) && stock(below); want != (err == nil) {
		t.Errorf("crypto/x509: got %v, want %t", err, want)
	}
}

// TestRootsVouchForOthersOnly: x509.Verify accepts a root that is given as the
// certificate itself, whatever its signature.
func TestRootsVouchForOthersOnly(t *testing.T) {
	root := newCA(t, pureMode, "root", nil)
	broken := slices.Clone(root.X509.Raw)
	broken[len(broken)-1] ^= 1
	forged := &entity{Certificate: must(ParseCertificate(broken))(t)}
	pool := x509.NewCertPool()
	pool.AddCert(forged.X509)
	if _, err := forged.X509.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now}); err != nil {
		t.Logf("x509.Verify has learnt to refuse it: %v", err)
	}
	for _, c := range []*entity{root, forged} {
		_, err := c.Verify(options(c))
		refused(t, err, "itself among the roots")
		if _, err := c.CheckSelfSigned(); (err == nil) != (c == root) {
			t.Errorf("self-signed: %v", err)
		}
	}
	twin := certify(t, "root", nil, root.signer, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid, c.MaxPathLen = true, true, -1 })
	_, err := twin.Verify(options(root))
	refused(t, err, "in the path already")
}

func TestPathRefusals(t *testing.T) {
	root := newCA(t, pureMode, "root", nil)
	issuing := newCA(t, alternativeMode, "issuing", root)
	leaf := newLeaf(t, "leaf.example", issuing)
	o := options(root, issuing)
	verified(t, leaf, o)
	sub := func(changes ...change) (*entity, *Options) {
		i := newCA(t, alternativeMode, "issuing", root, changes...)
		return newLeaf(t, "leaf.example", i), options(root, i)
	}
	for _, c := range []struct {
		name, why string
		make      func() (*entity, *Options)
	}{
		{"another root of the same name", "does not verify", func() (*entity, *Options) { return leaf, options(newCA(t, pureMode, "root", nil), issuing) }},
		{"another issuer of the same name", "does not verify", func() (*entity, *Options) { return leaf, options(root, newCA(t, alternativeMode, "issuing", root)) }},
		{"an unknown issuer", "no certificate is known of the issuer \"CN=issuing\"", func() (*entity, *Options) { return leaf, options(root) }},
		{"an issuer under another name", "no certificate is known of the issuer", func() (*entity, *Options) {
			return leaf, options(root, newCA(t, alternativeMode, "Issuing", root))
		}},
		{"an expired leaf", "it expired at", func() (*entity, *Options) {
			return newLeaf(t, "leaf.example", issuing, func(c *x509.Certificate) { c.NotAfter = now.Add(-1e9) }), o
		}},
		{"a leaf of tomorrow", "it is valid from", func() (*entity, *Options) {
			return newLeaf(t, "leaf.example", issuing, func(c *x509.Certificate) { c.NotBefore = now.Add(1e9) }), o
		}},
		{"an expired issuer", "it expired at", func() (*entity, *Options) { return sub(func(c *x509.Certificate) { c.NotAfter = now.Add(-1e9) }) }},
		{"an expired root", "it expired at", func() (*entity, *Options) {
			r := newCA(t, pureMode, "root", nil, func(c *x509.Certificate) { c.NotAfter = now.Add(-1e9) })
			return newLeaf(t, "leaf.example", r), options(r)
		}},
		{"an issuer that is no CA", "is not a CA", func() (*entity, *Options) {
			return sub(func(c *x509.Certificate) { c.IsCA = false })
		}},
		{"an issuer without basic constraints", "is not a CA", func() (*entity, *Options) {
			return sub(func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false })
		}},
		{"an issuer without keyCertSign", "lacks keyCertSign", func() (*entity, *Options) {
			return sub(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
		}},
		{"a leaf that issues", "is not a CA", func() (*entity, *Options) { return newLeaf(t, "below.example", leaf), options(root, issuing, leaf) }},
		{"a path that is too long", "path length allows 0 CAs below it, there are 1", func() (*entity, *Options) {
			r := newCA(t, pureMode, "root", nil, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
			i := newCA(t, pureMode, "issuing", r)
			return newLeaf(t, "leaf.example", i), options(r, i)
		}},
		{"a critical extension in the leaf", "critical extension 1.2.3 is not understood", func() (*entity, *Options) {
			return newLeaf(t, "leaf.example", issuing, with([]int{1, 2, 3}, true, []byte{5, 0})), o
		}},
		{"a critical extension in the issuer", "critical extension 1.2.3 is not understood", func() (*entity, *Options) { return sub(with([]int{1, 2, 3}, true, []byte{5, 0})) }},
		{"policy constraints", "policy constraints", func() (*entity, *Options) {
			return sub(with([]int{2, 5, 29, 36}, true, []byte{0x30, 3, 0x80, 1, 0}))
		}},
		{"policy constraints that are not critical", "policy constraints", func() (*entity, *Options) {
			return sub(with([]int{2, 5, 29, 36}, false, []byte{0x30, 3, 0x80, 1, 0}))
		}},
		{"policy constraints in the leaf", "policy constraints", func() (*entity, *Options) {
			return newLeaf(t, "leaf.example", issuing, with([]int{2, 5, 29, 36}, false, []byte{0x30, 3, 0x80, 1, 0})), o
		}},
		{"a policy that is critical", "critical extension 2.5.29.32 is not understood", func() (*entity, *Options) {
			return newLeaf(t, "leaf.example", issuing, with([]int{2, 5, 29, 32}, true, []byte{0x30, 5, 0x30, 3, 6, 1, 0x2a})), o
		}},
		{"a use that the leaf lacks", "not for this use", func() (*entity, *Options) {
			return newLeaf(t, "leaf.example", issuing, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), o
		}},
		{"a use that the issuer lacks", "not for this use", func() (*entity, *Options) {
			return sub(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
		}},
		{"another key by its identifier", "authority key identifier", func() (*entity, *Options) {
			return newLeaf(t, "leaf.example", issuing, with([]int{2, 5, 29, 35}, false, []byte{0x30, 3, 0x80, 1, 7})), o
		}},
		{"another host", "other.example", func() (*entity, *Options) {
			with := *o
			with.Host = "other.example"
			return leaf, &with
		}},
		{"no time", "no time", func() (*entity, *Options) { return leaf, &Options{Roots: o.Roots, Usages: o.Usages} }},
		{"no usage", "no usage", func() (*entity, *Options) { return leaf, &Options{Roots: o.Roots, Time: now} }},
		{"no roots", "no root", func() (*entity, *Options) { return leaf, &Options{Time: now, Usages: o.Usages} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, o := c.make()
			_, err := e.Verify(o)
			refused(t, err, c.why)
		})
	}
}

func TestReasonableChains(t *testing.T) {
	root := newCA(t, compositeMode, "root", nil, func(c *x509.Certificate) { c.MaxPathLen = 1 })
	issuing := newCA(t, pureMode, "issuing", root)
	selfIssued := certify(t, "issuing", issuing, newSigner(t, compositeMode), func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.MaxPathLen, c.SubjectKeyId = true, true, -1, []byte("new key")
	})
	t.Run("a self-issued CA does not count for the path length", func(t *testing.T) {
		if p := verified(t, newLeaf(t, "leaf.example", selfIssued), options(root, issuing, selfIssued)); len(p.Certificates) != 4 {
			t.Errorf("the path has %d certificates", len(p.Certificates))
		}
	})
	t.Run("a bad issuer does not hide a good one", func(t *testing.T) {
		expired := newCA(t, pureMode, "issuing", root, func(c *x509.Certificate) { c.NotAfter = now.Add(-1e9) })
		verified(t, newLeaf(t, "leaf.example", issuing), options(root, expired, newCA(t, pureMode, "issuing", root), issuing))
	})
	t.Run("any use", func(t *testing.T) {
		o := options(root, issuing)
		o.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		verified(t, newLeaf(t, "leaf.example", issuing, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), o)
	})
	t.Run("a CA as the certificate in question", func(t *testing.T) { verified(t, issuing, options(root)) })
	t.Run("a leaf with an ML-DSA key", func(t *testing.T) {
		e := certify(t, "leaf.example", issuing, newSigner(t, pureMode), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
		if verified(t, e, options(root, issuing)); e.PublicKey() == nil {
			t.Error("no key")
		}
	})
}

func TestBounds(t *testing.T) {
	root := newCA(t, classicalMode, "root", nil)
	var all []*entity
	last := root
	for len(all) < maxLength-2 {
		last = newCA(t, classicalMode, string(rune('a'+len(all))), last)
		all = append(all, last)
	}
	verified(t, newLeaf(t, "leaf.example", last), options(root, all...))
	longer := newCA(t, classicalMode, "longer", last)
	_, err := newLeaf(t, "leaf.example", longer).Verify(options(root, append(all, longer)...))
	refused(t, err, "more than 8 certificates")

	issuing := newCA(t, classicalMode, "issuing", root)
	leaf := newLeaf(t, "leaf.example", issuing)
	var twins []*entity
	for range maxSignatures {
		twins = append(twins, newCA(t, classicalMode, "issuing", root))
	}
	_, err = leaf.Verify(options(root, append(twins, issuing)...))
	refused(t, err, "does not verify")
	refused(t, err, "more than 64 signatures")
	verified(t, leaf, options(root, append(twins[:maxSignatures-2], issuing)...))
	_, err = leaf.Verify(options(root, append(twins, twins...)...))
	refused(t, err, "at most 100")
}
