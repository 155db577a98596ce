package pkix

import (
	"crypto/x509"
	xpkix "crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"
)

func number(n int64) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) { l.Number = big.NewInt(n) }
}

func listExtension(oid asn1.ObjectIdentifier, critical bool) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		l.ExtraExtensions = append(l.ExtraExtensions, xpkix.Extension{Id: oid, Critical: critical, Value: []byte{0x30, 0}})
	}
}

func TestRevocation(t *testing.T) {
	for _, m := range modes {
		t.Run(string(m), func(t *testing.T) {
			root := newCA(t, m, "root", nil)
			issuing := newCA(t, m, "issuing", root)
			leaf, other := newLeaf(t, "leaf.example", issuing), newLeaf(t, "other.example", issuing)
			o := options(root, issuing)
			o.RequireCRLs, o.RequireHybrid = true, m != classicalMode
			o.CRLs = []*CRL{newCRL(t, root), newCRL(t, issuing, revoking(other))}
			verified(t, leaf, o)
			_, err := other.Verify(o)
			refused(t, err, "reason 1")
			if !errors.Is(err, ErrRevoked) {
				t.Errorf("got %v, want %v", err, ErrRevoked)
			}
			o.CRLs[0] = newCRL(t, root, revoking(issuing))
			if _, err = leaf.Verify(o); !errors.Is(err, ErrRevoked) {
				t.Errorf("with its issuer revoked: got %v, want %v", err, ErrRevoked)
			}
			if l := o.CRLs[1]; l.AlternativelySigned() != (m == alternativeMode) {
				t.Error("the alternative signature is not seen")
			}
		})
	}
}

// TestCRLOfOneKeyWithTwoIdentifiers: a certificate is not passed over because the list
// on which it stands calls the issuer's key by another of its identifiers.
func TestCRLOfOneKeyWithTwoIdentifiers(t *testing.T) {
	for _, m := range modes {
		root := newCA(t, m, "root", nil)
		issuing := newCA(t, m, "issuing", root)
		leaf, other := newLeaf(t, "leaf.example", issuing), newLeaf(t, "other.example", issuing)
		list := newCRL(t, issuing, revoking(leaf))
		template := *issuing.template
		template.SubjectKeyId = []byte("another")
		twin := &entity{signer: issuing.signer, template: &template}
		twin.Certificate = must(ParseCertificate(signAs(t, root, twin)))(t)
		for _, c := range []*entity{leaf, other} {
			again := newLeaf(t, "leaf.example", twin, func(x *x509.Certificate) { x.SerialNumber = c.X509.SerialNumber })
			o := options(root, twin)
			o.CRLs = []*CRL{newCRL(t, newCA(t, m, "issuing", root, func(c *x509.Certificate) { c.SubjectKeyId = []byte("a third") })), list}
			p, err := again.Verify(o)
			if c == leaf && !errors.Is(err, ErrRevoked) {
				t.Errorf("%s: got %v, want %v", m, err, ErrRevoked)
			}
			if c == other && (err != nil || !slices.Equal(p.Lists, []*CRL{list, nil})) {
				t.Errorf("%s: got %v and %v", m, p, err)
			}
		}
	}
}

func TestCRLRefusals(t *testing.T) {
	root := newCA(t, compositeMode, "root", nil)
	issuing := newCA(t, alternativeMode, "issuing", root)
	leaf := newLeaf(t, "leaf.example", issuing)
	base := newCRL(t, root)
	impostor := newCA(t, alternativeMode, "issuing", root)
	outside := &entity{Certificate: issuing.Certificate, template: issuing.template, signer: must(NewSigner(issuing.signer.key))(t)}
	for _, c := range []struct {
		name, why string
		list      []*CRL
	}{
		{"none", "no CRL of", nil},
		{"only another issuer's", "no CRL of", []*CRL{newCRL(t, newCA(t, classicalMode, "another", nil))}},
		{"only for another key", "no CRL of", []*CRL{newCRL(t, newCA(t, alternativeMode, "issuing", root, func(c *x509.Certificate) { c.SubjectKeyId = []byte("other") }))}},
		{"outdated", "it was to be replaced", []*CRL{newCRL(t, issuing, func(l *x509.RevocationList) { l.NextUpdate = now.Add(-1e9) })}},
		{"of the future", "is not yet", []*CRL{newCRL(t, issuing, func(l *x509.RevocationList) { l.ThisUpdate = now.Add(1e9) })}},
		{"signed by another", "does not verify", []*CRL{newCRL(t, impostor)}},
		{"newer and signed by another, beside a good one", "does not verify", []*CRL{newCRL(t, issuing), newCRL(t, impostor, number(2))}},
		{"delta", "only complete", []*CRL{newCRL(t, issuing, listExtension(oidDeltaCRL, true))}},
		{"delta that is not critical", "only complete", []*CRL{newCRL(t, issuing, listExtension(oidDeltaCRL, false))}},
		{"with an issuing distribution point", "only complete", []*CRL{newCRL(t, issuing, listExtension(oidDistribution, true))}},
		{"with an unknown critical extension", "1.2.3 is not understood", []*CRL{newCRL(t, issuing, listExtension([]int{1, 2, 3}, true))}},
		{"with an indirect entry", "2.5.29.29 of an entry", []*CRL{newCRL(t, issuing, func(l *x509.RevocationList) {
			revoking(root)(l)
			l.RevokedCertificateEntries[0].ExtraExtensions = []xpkix.Extension{{Id: []int{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}}
		})}},
		{"without a number", "no number", []*CRL{edited(t, issuing, crlTBS(t, issuing), []int{2, 5, 29, 20})}},
		{"without the alternative signature", "no alternative one", []*CRL{newCRL(t, outside)}},
		{"with the alternative signature of another CRL", "does not verify", []*CRL{transplanted(t, outside, newCRL(t, issuing))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(root, issuing)
			o.RequireCRLs, o.RequireHybrid = true, true
			o.CRLs = append(c.list, base)
			_, err := leaf.Verify(o)
			refused(t, err, c.why)
		})
	}
	t.Run("without a nextUpdate", func(t *testing.T) {
		l := newCRL(t, issuing)
		l.X509.NextUpdate = time.Time{} // which crypto/x509 would not write, only read
		refused(t, l.CheckComplete(now), "when the next one comes")
	})
	t.Run("by an issuer without cRLSign", func(t *testing.T) {
		i := newCA(t, alternativeMode, "issuing", root, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
		o := options(root, i)
		o.CRLs = []*CRL{newCRL(t, i)}
		_, err := newLeaf(t, "leaf.example", i).Verify(o)
		refused(t, err, "lacks cRLSign")
	})
	t.Run("no CRL needed", func(t *testing.T) { verified(t, leaf, options(root, issuing)) })
	t.Run("the newest counts", func(t *testing.T) {
		o := options(root, issuing)
		o.CRLs = []*CRL{newCRL(t, issuing, number(7)), newCRL(t, issuing, number(6), revoking(leaf))}
		verified(t, leaf, o)
		o.CRLs = append(o.CRLs, newCRL(t, issuing, number(8), revoking(leaf)))
		if _, err := leaf.Verify(o); !errors.Is(err, ErrRevoked) {
			t.Errorf("got %v, want %v", err, ErrRevoked)
		}
	})
}

// edited returns a CRL of tbs without the extensions drop.
func edited(t *testing.T, e *entity, tbs []byte, drop ...asn1.ObjectIdentifier) *CRL {
	t.Helper()
	parts := must(splitTBS(tbs, crlExtensions))(t)
	return must(ParseCRL(must(e.signer.SignCRL(must(parts.marshal(parts.signature, parts.without(t, drop...)))(t)))(t)))(t)
}

// transplanted returns a new CRL with the alternative signature of from.
func transplanted(t *testing.T, e *entity, from *CRL) *CRL {
	t.Helper()
	parts := must(splitTBS(crlTBS(t, e, number(9)), crlExtensions))(t)
	tbs := must(parts.marshal(parts.signature, parts.extensions, altAlgorithm(from.alt.identifier), altValue(from.alt.signature)))(t)
	return must(ParseCRL(must(e.signer.SignCRL(tbs))(t)))(t)
}

func TestMalformedCRLs(t *testing.T) {
	issuing := newCA(t, alternativeMode, "issuing", nil)
	good := crlDER(t, issuing)
	if _, err := must(ParseCRL(good))(t).CheckSignatureFrom(issuing.Certificate); err != nil {
		t.Fatal(err)
	}
	l := must(ParseCRL(good))(t)
	parts := must(splitTBS(l.signed.tbs, crlExtensions))(t)
	twice := must(issuing.signer.Sign(must(parts.marshal(parts.signature, parts.extensions, altValue(l.alt.signature)))(t)))(t)
	for name, c := range map[string]struct {
		der []byte
		why string
	}{
		"a trailing octet":         {append(slices.Clone(good), 0), "one DER SEQUENCE"},
		"more after the signature": {sequence(content(good), null), "must end with a signature"},
		"an extension twice":       {twice, "stands twice"},
		"nothing":                  {nil, "one DER SEQUENCE"},
		"too long":                 {make([]byte, maxCRL+1), "longer than"},
	} {
		_, err := ParseCRL(c.der)
		t.Run(name, func(t *testing.T) { refused(t, err, c.why) })
	}
	_, err := l.CheckSignatureFrom(newCA(t, alternativeMode, "other", nil).Certificate)
	refused(t, err, "issuer is another")
}
