package client

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix/pkixtest"
)

// selfSigned is a root certificate that whoever has a CA's key can make for themselves.
func selfSigned(ca *signer, changes ...func(*x509.Certificate)) *signer {
	own := &signer{Key: ca.Key, Signer: ca.Signer}
	template := *ca.Cert
	template.SerialNumber, template.NotBefore, template.AuthorityKeyId = ca.Cert.SerialNumber, time.Now().Add(-time.Minute), nil
	template.KeyUsage |= x509.KeyUsageCertSign
	for _, change := range changes {
		change(&template)
	}
	own.Cert = own.SignSPKI(&template, ca.Key.Public(), ca.Signer.PublicKey())
	return own
}

// TestFollowOnlyRoots: whoever has stolen an issuer's key can serve what they like to agents.
// The issuer's certificate does not make a root of that key, which could end the real root.
func TestFollowOnlyRoots(t *testing.T) {
	for _, m := range []mode{classical, alternative, composite, pure} {
		t.Run(string(m), func(t *testing.T) {
			root := pkixtest.NewCA(t, m, "root", nil, older)
			issuer := pkixtest.NewCA(t, m, "issuer", root, func(c *x509.Certificate) { c.MaxPathLenZero = true })
			fake := selfSigned(issuer)
			back := cross(t, root, fake)
			s := said(t, []*signer{root, fake, issuer}, []*x509.Certificate{issuer.Cert, back}, root.CRL(t, 1), fake.CRL(t, 1, back))
			if got, want := s.apply(trusting(t, root), time.Now()).fingerprints(), trusting(t, root).fingerprints(); !slices.Equal(got, want) {
				t.Errorf("trusted are %v, want the root alone, %v", got, want)
			}
		})
	}
}

// TestFollowTheCertificateOfARoot: a cross-certificate is for a name and keys. The dates and uses in
// a root certificate count only if the root has signed it, and a root is taken once.
func TestFollowTheCertificateOfARoot(t *testing.T) {
	for _, m := range []mode{classical, alternative, composite, pure} {
		t.Run(string(m), func(t *testing.T) {
			old, next := pkixtest.NewCA(t, m, "root", nil, older), pkixtest.NewCA(t, m, "root 2", nil)
			stranger := pkixtest.NewCA(t, m, "root 2", nil)
			edited := &signer{Key: next.Key, Signer: next.Signer, Cert: stranger.SignSPKI(next.Cert, next.Key.Public(), next.Signer.PublicKey())}
			vouched, back := cross(t, next, old), cross(t, old, next)
			s := said(t, []*signer{edited}, []*x509.Certificate{vouched}, old.CRL(t, 1))
			if got := s.apply(trusting(t, old), time.Now()).roots; len(got) != 1 {
				t.Errorf("%d roots, one of them signed by a stranger", len(got))
			}
			again := selfSigned(old)
			s = said(t, []*signer{old, next, again}, []*x509.Certificate{vouched, back}, next.CRL(t, 1), old.CRL(t, 2, vouched))
			if got, want := s.apply(trusting(t, old, next), time.Now()).fingerprints(), trusting(t, old, next).fingerprints(); !slices.Equal(got, want) {
				t.Errorf("trusted are %v, want %v: the old root has made a newer certificate of itself", got, want)
			}
		})
	}
}

// TestFollowKeepsTheNewRoot: a thief of the old root's key can vouch for a root of their own
// where the old one is trusted. That root cannot end the authority's new one.
func TestFollowKeepsTheNewRoot(t *testing.T) {
	for _, m := range []mode{classical, alternative, composite, pure} {
		t.Run(string(m), func(t *testing.T) {
			old, next := pkixtest.NewCA(t, m, "root", nil, older), pkixtest.NewCA(t, m, "root 2", nil)
			thief := pkixtest.NewCA(t, m, "root 3", nil, func(c *x509.Certificate) { c.NotBefore = c.NotBefore.Add(time.Minute) })
			vouched, end := cross(t, thief, old), cross(t, next, thief)
			s := said(t, []*signer{thief}, []*x509.Certificate{vouched, end}, old.CRL(t, 9), thief.CRL(t, 1, end))
			trusted := trusting(t, old, next)
			for range 2 {
				trusted = s.apply(trusted, time.Now())
				if !slices.ContainsFunc(trusted.roots, trusting(t, next).roots[0].Equal) {
					t.Fatal("the new root is gone")
				}
			}
		})
	}
}

// TestFollowLooksAgain: what could not be used at the first look, by a clock that is slow or
// between two lists, is found later. Until then no request is made.
func TestFollowLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		id := a.enroll(t, t.TempDir())
		old, next := a.root, pkixtest.NewCA(t, classical, "root 2", nil, func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(9, 0, 0) })
		vouched := cross(t, next, old, func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(9, 0, 0) })
		serve := func(path string, text []byte) {
			a.breakPath(path, func(w http.ResponseWriter, _ *http.Request) { w.Write(text) })
		}
		serve("/roots.pem", certificatesPEM(old.Cert.Raw, next.Cert.Raw))
		serve(crossPath, certificatesPEM(vouched.Raw))
		both := trusting(t, old, next).fingerprints()
		follow := func(want int) {
			t.Helper()
			check(t, id.follow(t.Context(), id.trust.Load(), both))
			if got := len(id.trust.Load().roots); got != want {
				t.Errorf("%d roots, want %d", got, want)
			}
		}
		follow(1)
		list := old.List(t, 1, func(l *x509.RevocationList) { l.NextUpdate = time.Now().AddDate(1, 0, 0) })
		serve(crossPath, append(certificatesPEM(vouched.Raw), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list})...))
		follow(1)
		if n := a.log.count(crossPath); n != 1 {
			t.Errorf("%d requests in a moment", n)
		}
		time.Sleep(time.Hour)
		follow(2)
		time.Sleep(24 * time.Hour)
		follow(2)
		if n := a.log.count(crossPath); n != 2 {
			t.Errorf("%d requests, the last ones with nothing to find", n)
		}
	})
}

// TestFollowWidensNoUse: a root for HTTPS vouches for roots that are for HTTPS and nothing else.
func TestFollowWidensNoUse(t *testing.T) {
	for what, c := range map[string]struct {
		use  func(*x509.Certificate)
		want int
	}{
		"for HTTPS": {forHTTPS, 2},
		"for agents, too": {func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		}, 1},
		"for everything": {func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageAny}
		}, 1},
		"for something foreign": {func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} }, 1},
	} {
		https, other := pkixtest.NewCA(t, classical, "HTTPS root", nil, older, forHTTPS), pkixtest.NewCA(t, classical, "HTTPS root 2", nil, c.use)
		s := said(t, []*signer{https, other}, []*x509.Certificate{cross(t, other, https, forHTTPS)}, https.CRL(t, 1))
		if got := s.apply(trusting(t, https), time.Now()).roots; len(got) != c.want {
			t.Errorf("%s: %d roots, want %d", what, len(got), c.want)
		}
	}
}
