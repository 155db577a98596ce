package pkix

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
)

// TestTheVerySecond: both ends of a validity belong to it (RFC 5280, sections 4.1.2.5
// and 5.1.2.5).
func TestTheVerySecond(t *testing.T) {
	from, until := now, now.Add(time.Minute)
	during := func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, until }
	always := newCA(t, classicalMode, "root", nil)
	for what, make := range map[string]func() (*entity, *Options){
		"leaf": func() (*entity, *Options) { return newLeaf(t, "leaf.example", always, during), options(always) },
		"issuer": func() (*entity, *Options) {
			i := newCA(t, classicalMode, "issuing", always, during)
			return newLeaf(t, "leaf.example", i), options(always, i)
		},
		"root": func() (*entity, *Options) {
			r := newCA(t, classicalMode, "root", nil, during)
			return newLeaf(t, "leaf.example", r), options(r)
		},
		"CRL": func() (*entity, *Options) {
			o := options(always)
			o.CRLs = []*CRL{newCRL(t, always, func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = from, until })}
			return newLeaf(t, "leaf.example", always), o
		},
	} {
		c, o := make()
		for at, want := range map[time.Time]bool{
			from.Add(-1): false, from: true, from.In(time.FixedZone("", 3600)): true, until: true, until.Add(1): false,
		} {
			o.Time = at
			if _, err := c.Verify(o); (err == nil) != want {
				t.Errorf("%s at %s: got %v, want %t", what, at, err, want)
			}
		}
	}
}

// TestLoops: CAs that certify one another lead nowhere and end, and around them to a root.
func TestLoops(t *testing.T) {
	root := newCA(t, classicalMode, "root", nil)
	a, b := newCA(t, alternativeMode, "a", nil), newCA(t, alternativeMode, "b", nil)
	cross := func(subject, issuer *entity) *entity {
		e := &entity{template: subject.template, signer: subject.signer}
		e.Certificate = must(ParseCertificate(signAs(t, issuer, e)))(t)
		return e
	}
	ab, ba := cross(a, b), cross(b, a)
	leaf := newLeaf(t, "leaf.example", a)
	_, err := leaf.Verify(options(root, a, b, ab, ba))
	refused(t, err, "in the path already")
	_, err = leaf.Verify(options(root, ab, ba))
	refused(t, err, "in the path already")

	p := verified(t, leaf, options(root, a, b, ab, ba, cross(b, root)))
	if len(p.Certificates) != 4 || p.Certificates[3] != root.Certificate {
		t.Errorf("got a path of %d", len(p.Certificates))
	}
	// The same, and every signature hybrid: only the way that is so counts.
	strong := newCA(t, compositeMode, "strong", nil)
	o := options(strong, a, b, ab, ba, cross(b, root), cross(b, strong))
	o.Roots = append(o.Roots, root.Certificate)
	o.RequireHybrid = true
	if p := verified(t, leaf, o); p.Certificates[3] != strong.Certificate || !p.Protection().Hybrid() {
		t.Errorf("got %v up to %s", p.Protections, p.Certificates[3].name())
	}
}

// TestManyTwins: what a peer may send costs no more than the bound, whatever it sends.
func TestManyTwins(t *testing.T) {
	root := newCA(t, classicalMode, "twin", nil)
	var all []*entity
	last := root
	for range maxIntermediates {
		all = append(all, newCA(t, classicalMode, "twin", last, func(c *x509.Certificate) { c.SubjectKeyId = nil }))
		last = all[len(all)-1]
	}
	s := search{o: options(newCA(t, classicalMode, "other", nil), all...), signatures: maxSignatures}
	if p := s.extend(&Path{Certificates: []*Certificate{newLeaf(t, "leaf.example", last, func(c *x509.Certificate) { c.SubjectKeyId, c.AuthorityKeyId = nil, nil }).Certificate}}); p != nil {
		t.Error("a path to nowhere")
	}
	if len(s.failures) > maxFailures {
		t.Errorf("%d failures are kept", len(s.failures))
	}
}

// TestUsagesOfTheWholePath: one use must be allowed by all, not one by each.
func TestUsagesOfTheWholePath(t *testing.T) {
	only := func(u ...x509.ExtKeyUsage) change { return func(c *x509.Certificate) { c.ExtKeyUsage = u } }
	root := newCA(t, pureMode, "root", nil, only(x509.ExtKeyUsageClientAuth))
	issuing := newCA(t, pureMode, "issuing", root, only(x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth))
	for _, c := range []struct {
		leaf change
		ask  []x509.ExtKeyUsage
		ok   bool
	}{
		{only(x509.ExtKeyUsageClientAuth), []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, true},
		{only(x509.ExtKeyUsageClientAuth), []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, true},
		{only(x509.ExtKeyUsageServerAuth), []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, false},
		{only(x509.ExtKeyUsageServerAuth), []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, false},
		{only(), []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, true},
		{only(), []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, false},
		{func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 2, 3}}
		}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, false},
	} {
		o := options(root, issuing)
		o.Usages = c.ask
		leaf := newLeaf(t, "leaf.example", issuing, c.leaf)
		if _, err := leaf.Verify(o); (err == nil) != c.ok {
			t.Errorf("%v asked of %v %v: got %v", c.ask, leaf.X509.ExtKeyUsage, leaf.X509.UnknownExtKeyUsage, err)
		}
	}
}

// TestPathLengthZero: such a CA issues no CA, whether self-issued ones count or not.
func TestPathLengthZero(t *testing.T) {
	root := newCA(t, compositeMode, "root", nil)
	zero := newCA(t, compositeMode, "zero", root, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	verified(t, newLeaf(t, "leaf.example", zero), options(root, zero))
	below := newCA(t, compositeMode, "below", zero)
	_, err := newLeaf(t, "leaf.example", below).Verify(options(root, zero, below))
	refused(t, err, "path length allows 0")
	verified(t, below, options(root, zero)) // the last certificate does not count (RFC 5280, section 4.2.1.9)
}

// TestAlternativeComposite: the alternative key may be a composite as well.
func TestAlternativeComposite(t *testing.T) {
	s := must(NewAlternativeSigner(newECDSA(t), newPQ(t, pqc.MLDSA65Ed25519SHA512)))(t)
	root := certify(t, "root", nil, s, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.MaxPathLen, c.KeyUsage = true, true, -1, x509.KeyUsageCertSign
	})
	leaf := newLeaf(t, "leaf.example", root)
	o := options(root)
	o.RequireHybrid = true
	if p := verified(t, leaf, o); !slices.Equal(p.Protections, []Protection{Alternative}) {
		t.Errorf("got %v", p.Protections)
	}
}
