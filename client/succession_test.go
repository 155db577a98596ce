package client

import (
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/pqc/pkix/pkixtest"
)

// cross is a certificate by one root for another one.
func cross(t testing.TB, of, by *signer, changes ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: of.Cert.Subject, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCRLSign,
	}
	if k := of.Signer.Alternative(); k != nil {
		var e stdpkix.Extension
		_, err := asn1.Unmarshal(pkix.AlternativeKey(k), &e)
		check(t, err)
		template.ExtraExtensions = append(template.ExtraExtensions, e)
	}
	for _, change := range changes {
		change(template)
	}
	return by.SignSPKI(template, of.Key.Public(), of.Signer.PublicKey())
}

func older(c *x509.Certificate)      { c.NotBefore = c.NotBefore.Add(-time.Hour) }
func forHTTPS(c *x509.Certificate)   { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
func expired(c *x509.Certificate)    { c.NotAfter = time.Now().Add(-time.Minute) }
func withoutKey(c *x509.Certificate) { c.ExtraExtensions = nil }

// said is what an authority serves of its roots.
func said(t testing.TB, roots []*signer, certs []*x509.Certificate, lists ...[]byte) *succession {
	t.Helper()
	var text []byte
	for _, c := range certs {
		text = append(text, certificatesPEM(c.Raw)...)
	}
	for _, l := range lists {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: l})...)
	}
	s, err := parseCross(text)
	check(t, err)
	for _, r := range roots {
		s.roots = append(s.roots, r.Cert)
	}
	return s
}

func trusting(t testing.TB, roots ...*signer) *trust {
	t.Helper()
	var certs []*x509.Certificate
	for _, r := range roots {
		certs = append(certs, r.Cert)
	}
	trusted, err := newTrust(certs, false)
	check(t, err)
	return trusted
}

// TestFollowOnlyWhoIsVouchedFor: an agent takes a new root only if the old one vouches for it
// now, and drops the old one only if the new one says so, for roots of every kind.
func TestFollowOnlyWhoIsVouchedFor(t *testing.T) {
	for _, from := range []mode{classical, alternative, composite, pure} {
		for _, to := range []mode{classical, alternative, composite, pure} {
			t.Run(fmt.Sprint(from, " to ", to), func(t *testing.T) {
				old, next := pkixtest.NewCA(t, from, "root", nil, older), pkixtest.NewCA(t, to, "root 2", nil)
				https := pkixtest.NewCA(t, classical, "HTTPS root", nil, older, forHTTPS)
				namesake, stranger := pkixtest.NewCA(t, from, "root", nil), pkixtest.NewCA(t, to, "root 2", nil)
				both := []*signer{old, next}
				none := old.CRL(t, 1)
				vouched := cross(t, next, old)
				back := cross(t, old, next)
				before, after := trusting(t, old, https), trusting(t, old, next, https)
				hybrid := &trust{before.roots, before.vouched, true}
				old1, all, kept := trusting(t, old, https).fingerprints(), after.fingerprints(), trusting(t, next, https).fingerprints()
				added := append(slices.Clone(old1), fingerprint(next.Cert).String())
				strict := added
				if from == classical {
					strict = old1
				}
				for what, c := range map[string]struct {
					trust *trust
					said  *succession
					want  []string
				}{
					"vouched for":                   {before, said(t, both, []*x509.Certificate{vouched}, none), added},
					"without a cross-certificate":   {before, said(t, both, nil, none), old1},
					"by a namesake of the old root": {before, said(t, both, []*x509.Certificate{cross(t, next, namesake)}, namesake.CRL(t, 1), none), old1},
					"for another key":               {before, said(t, both, []*x509.Certificate{cross(t, stranger, old)}, none), old1},
					"expired":                       {before, said(t, both, []*x509.Certificate{cross(t, next, old, expired)}, none), old1},
					"without a CRL":                 {before, said(t, both, []*x509.Certificate{vouched}), old1},
					"with a CRL that ended": {before, said(t, both, []*x509.Certificate{vouched}, old.List(t, 2, func(l *x509.RevocationList) {
						l.ThisUpdate, l.NextUpdate = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
					})), old1},
					"with a CRL of a namesake":                       {before, said(t, both, []*x509.Certificate{vouched}, namesake.CRL(t, 1)), old1},
					"revoked":                                        {before, said(t, both, []*x509.Certificate{vouched}, old.CRL(t, 1, vouched)), old1},
					"by the root for HTTPS":                          {before, said(t, both, []*x509.Certificate{cross(t, next, https)}, https.CRL(t, 1), none), old1},
					"by itself":                                      {before, said(t, both, []*x509.Certificate{next.Cert}, none, next.CRL(t, 1)), old1},
					"not published":                                  {before, said(t, []*signer{old}, []*x509.Certificate{vouched}, none), old1},
					"by hybrid signatures where required":            {hybrid, said(t, both, []*x509.Certificate{vouched}, none), strict},
					"the old one is not withdrawn":                   {after, said(t, both, []*x509.Certificate{vouched, back}, none, next.CRL(t, 1)), all},
					"the old one is only absent":                     {after, said(t, []*signer{next}, []*x509.Certificate{back}, next.CRL(t, 1)), all},
					"the new one ends the old one":                   {after, said(t, []*signer{next}, []*x509.Certificate{vouched, back}, next.CRL(t, 2, back)), kept},
					"the new one ends one that never vouched for it": {after, said(t, []*signer{next}, []*x509.Certificate{back}, next.CRL(t, 2, back)), all},
					"the old one ends the new one":                   {after, said(t, []*signer{old}, []*x509.Certificate{vouched}, old.CRL(t, 2, vouched)), all},
					"a namesake of the new one ends the old":         {after, said(t, []*signer{next}, []*x509.Certificate{cross(t, old, stranger)}, stranger.CRL(t, 2, back)), all},
				} {
					got := c.said.apply(c.trust, time.Now()).fingerprints()
					slices.Sort(got)
					want := slices.Sorted(slices.Values(c.want))
					if !slices.Equal(got, want) {
						t.Errorf("%s: %d roots %v, want %d %v", what, len(got), got, len(want), want)
					}
				}
			})
		}
	}
}

// TestFollowBindsBothKeys: a cross-certificate must be for the alternative key, too.
func TestFollowBindsBothKeys(t *testing.T) {
	old, next := pkixtest.NewCA(t, alternative, "root", nil, older), pkixtest.NewCA(t, alternative, "root 2", nil)
	s := said(t, []*signer{old, next}, []*x509.Certificate{cross(t, next, old, withoutKey)}, old.CRL(t, 1))
	if got := s.apply(trusting(t, old), time.Now()).roots; len(got) != 1 {
		t.Errorf("%d roots", len(got))
	}
}

// TestFollowKeepsNameConstraints: a root that vouches for some names cannot vouch for a root
// that vouches for others.
func TestFollowKeepsNameConstraints(t *testing.T) {
	permit := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{name}
		}
	}
	old, free := pkixtest.NewCA(t, classical, "root", nil, older, permit("example.org")), pkixtest.NewCA(t, classical, "free", nil, older)
	for _, c := range []struct {
		by     *signer
		change func(*x509.Certificate)
		want   int
	}{
		{old, permit("example.org"), 2},
		{old, permit("example.com"), 1},
		{old, func(*x509.Certificate) {}, 1},
		{free, permit("example.org"), 2},
	} {
		next := pkixtest.NewCA(t, classical, "root 2", nil, c.change)
		s := said(t, []*signer{c.by, next}, []*x509.Certificate{cross(t, next, c.by)}, c.by.CRL(t, 1))
		if got := s.apply(trusting(t, c.by), time.Now()).roots; len(got) != c.want {
			t.Errorf("%v by %v: %d roots, want %d", next.Cert.PermittedDNSDomains, c.by.Cert.PermittedDNSDomains, len(got), c.want)
		}
	}
}

// TestFollowKeepsHTTPSReachable: the last root by which the authority can be reached stays.
func TestFollowKeepsHTTPSReachable(t *testing.T) {
	old, next := pkixtest.NewCA(t, classical, "root", nil, older), pkixtest.NewCA(t, composite, "root 2", nil)
	back := cross(t, old, next)
	s := said(t, []*signer{next}, []*x509.Certificate{cross(t, next, old), back}, next.CRL(t, 1, back))
	if got := s.apply(trusting(t, old, next), time.Now()).roots; len(got) != 2 {
		t.Errorf("%d roots", len(got))
	}
	// A root for HTTPS may vouch for another one.
	https, second := pkixtest.NewCA(t, classical, "HTTPS root", nil, older, forHTTPS), pkixtest.NewCA(t, classical, "HTTPS root 2", nil, forHTTPS)
	s = said(t, []*signer{https, second}, []*x509.Certificate{cross(t, second, https, forHTTPS)}, https.CRL(t, 1))
	if got := s.apply(trusting(t, https), time.Now()).roots; len(got) != 2 {
		t.Errorf("%d roots for HTTPS", len(got))
	}
}

// FuzzCross: what is read is what was written, and nothing that anybody serves adds or drops
// a root for which nobody vouched.
func FuzzCross(f *testing.F) {
	old, next := pkixtest.NewCA(f, classical, "root", nil, older), pkixtest.NewCA(f, classical, "root 2", nil)
	stranger := pkixtest.NewCA(f, classical, "root", nil)
	list := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: stranger.CRL(f, 1)})
	f.Add(append(certificatesPEM(cross(f, next, stranger).Raw), list...))
	f.Add(list)
	f.Add([]byte(nil))
	f.Add([]byte("-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n"))
	trusted := trusting(f, old)
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseCross(text)
		if err != nil {
			return
		}
		var certs []*x509.Certificate
		var lists [][]byte
		for _, c := range s.cross {
			certs = append(certs, c.X509)
		}
		for _, l := range s.lists {
			lists = append(lists, l.X509.Raw)
		}
		if again := said(t, nil, certs, lists...); len(again.cross) != len(s.cross) || len(again.lists) != len(s.lists) {
			t.Errorf("read again: %d and %d", len(again.cross), len(again.lists))
		}
		s.roots = []*x509.Certificate{old.Cert, next.Cert, stranger.Cert}
		if got := s.apply(trusted, time.Now()).roots; len(got) != 1 || !got[0].Equal(trusted.roots[0]) {
			t.Errorf("%d roots", len(got))
		}
	})
}
