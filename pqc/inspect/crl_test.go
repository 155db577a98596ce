package inspect

import (
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix"
)

func TestInspectRevocation(t *testing.T) {
	h := newHierarchy(t, alternative)
	c, other := leaf(t, h.issuing), leaf(t, h.issuing)
	list := h.issuing.CRL(t, 2, c)
	i := inspectorOf(t, h)
	i.RequireHybrid = true
	check(t, i.AddCRLs(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list})))
	refused(t, i.Certificate(c.Raw), pkix.ErrRevoked.Error())
	good(t, i.Certificate(other.Raw), "ECDSA-SHA256 + ML-DSA-44", pkix.Alternative, "the root")

	check(t, i.AddCRLs(h.issuing.CRL(t, 1)))
	refused(t, i.Certificate(c.Raw), pkix.ErrRevoked.Error()) // an older list takes nothing back

	foreign := newHierarchy(t, alternative)
	i = inspectorOf(t, h)
	check(t, i.AddCRLs(h.roots[0].CRL(t, 1)))
	refused(t, i.Certificate(c.Raw), "no CRL that is given is of its issuer")
	check(t, i.AddCRLs(foreign.issuing.CRL(t, 9)))
	if v := i.Certificate(c.Raw); v.Err == nil {
		t.Error("another CA's list with the name of the issuer did")
	}

	// Two certificates of one issuing key may name it differently, and its list only one.
	twin := *h.issuing
	twin.Cert = h.roots[0].SignSPKI(renamedKey(h.issuing.Cert), twin.Key.Public(), twin.Signer.PublicKey())
	i = &Inspector{Time: time.Now()}
	check(t, i.AddRoots(h.roots[0].Cert.Raw))
	check(t, i.AddChain(twin.Cert.Raw))
	c = leaf(t, &twin)
	good(t, i.Certificate(c.Raw), "ECDSA-SHA256 + ML-DSA-44", pkix.Alternative, "the root")
	check(t, i.AddCRLs(h.issuing.CRL(t, 3, c)))
	refused(t, i.Certificate(c.Raw), pkix.ErrRevoked.Error())
	c = other

	stripped := *h.issuing
	var err error
	stripped.Signer, err = pkix.NewSigner(h.issuing.Key)
	check(t, err)
	i = inspectorOf(t, h)
	i.RequireHybrid = true
	check(t, i.AddCRLs(stripped.CRL(t, 3)))
	refused(t, i.Certificate(c.Raw), pkix.ErrNotHybrid.Error())
	refused(t, i.CRL(stripped.CRL(t, 3)), pkix.ErrNotHybrid.Error())
}

// renamedKey returns what c was made from, with another subject key identifier.
func renamedKey(c *x509.Certificate) *x509.Certificate {
	template := *c
	template.SubjectKeyId = []byte("another name of the key")
	template.ExtraExtensions = nil
	for _, e := range c.Extensions { // the alternative key stays
		if e.Id.Equal([]int{2, 5, 29, 72}) {
			template.ExtraExtensions = append(template.ExtraExtensions, e)
		}
	}
	return &template
}

func TestInspectCRL(t *testing.T) {
	for m, want := range signatures {
		t.Run(string(m), func(t *testing.T) {
			h := newHierarchy(t, m)
			root := fingerprint(h.roots[0].Cert)
			list := h.issuing.CRL(t, 7)
			good(t, inspectorOf(t, h).CRL(list), want.name, want.protection, root)
			good(t, inspectorOf(t, h).CRL(h.roots[0].CRL(t, 1)), want.name, want.protection, root)
			foreign := newHierarchy(t, m)
			refused(t, inspectorOf(t, h).CRL(foreign.issuing.CRL(t, 7)), "verif")
			lost := inspectorOf(t, h)
			check(t, lost.AddChain(foreign.issuing.Cert.Raw))
			refused(t, lost.CRL(foreign.issuing.CRL(t, 7)), "no valid path to a root")
			late := inspectorOf(t, h)
			late.Time = time.Now().Add(2 * time.Hour)
			refused(t, late.CRL(list), "it was to be replaced by")
			refused(t, (&Inspector{}).CRL(list), "which is not yet")
			rootless := &Inspector{Time: time.Now()}
			check(t, rootless.AddChain(h.issuing.Cert.Raw))
			refused(t, rootless.CRL(list), "give the roots")
			refused(t, (&Inspector{Time: time.Now()}).CRL(list), "no certificate is given of its issuer")

			for _, tc := range []struct {
				change func(*x509.RevocationList)
				why    string
			}{
				{func(l *x509.RevocationList) {
					l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(1), RevocationTime: time.Now(),
						ExtraExtensions: []stdpkix.Extension{{Id: []int{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}}}}
				}, "2.5.29.29 of an entry is not understood"},
				{func(l *x509.RevocationList) {
					l.ExtraExtensions = []stdpkix.Extension{{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}}
				}, "only complete CRLs are"},
			} {
				refused(t, inspectorOf(t, h).CRL(h.issuing.List(t, 8, tc.change)), tc.why)
				byKey := &Inspector{Time: time.Now()}
				check(t, byKey.AddKeys(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: h.issuing.Signer.PublicKey()})))
				refused(t, byKey.CRL(h.issuing.List(t, 8, tc.change)), tc.why)
			}

			keyed := &Inspector{Time: time.Now()}
			check(t, keyed.AddKeys(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: h.issuing.Signer.PublicKey()})))
			bare := want.protection
			if m == alternative {
				bare = pkix.Classical // of which a key alone tells nothing
			}
			good(t, keyed.CRL(list), want.name, bare, "the key that is given")
			good(t, keyed.Certificate(leaf(t, h.issuing).Raw), want.name, bare, "the key that is given")
			refused(t, keyed.CRL(h.roots[0].CRL(t, 1)), "not signed with the key")
			refused(t, keyed.Certificate(h.issuing.Cert.Raw), "not signed with the key")
		})
	}
}
