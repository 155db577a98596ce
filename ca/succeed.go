package ca

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Succession is a new root that is about to come beside others.
type Succession struct {
	Key     keys.Key
	Signer  Signer
	Vouch   []Root      // published ones, with which it exchanges cross-certificates
	Issuers []Authority // which it certifies, too
	Like    Root        // whose name and lifetime it has

	// First is the key of an issuer that the new root certifies as the first one, or the zero
	// Key. The roots in Vouch certify it, too.
	First         keys.Key
	FirstLifetime time.Duration
}

// Succeed makes the certificates of a new root: its own first, then those of the issuers
// that are at work, and then cross-certificates (RFC 9810, section 4.4): of the new root by each old one and
// the other way round. The issuers keep their keys, so what they signed before can be
// verified under either root.
//
// A cross-certificate proves to whoever trusts one root that the other belongs to the same
// authority. It cannot be part of a path: its keyUsage has no keyCertSign. So a thief of
// the old root's key gains nothing where only the new root is trusted.
func (ca *CA) Succeed(ctx context.Context, s Succession) ([]Authority, error) {
	now := ca.clock.Now()
	like, err := x509.ParseCertificate(s.Like.Certificate)
	if err != nil {
		return nil, err
	}
	lifetime := like.NotAfter.Sub(like.NotBefore) - caBackdate
	before, err := ca.CountRoots(ctx, s.Key.Purpose)
	if err != nil {
		return nil, err
	}
	root, err := newRoot(s.Key.Purpose, nameIn(like.Subject.CommonName), before+1, s.Signer, lifetime, now, constraintsOf(like))
	if err != nil {
		return nil, err
	}
	made := []Authority{root}
	self, err := RootIssuer(root, s.Signer, ca.baseURL())
	if err != nil {
		return nil, err
	}
	for _, i := range s.Issuers {
		c, err := Recertify(i, self, now)
		if err != nil {
			return nil, err
		}
		made = append(made, c)
	}
	if s.First.ID != "" {
		first, err := NewIssuing(nameIn(like.Subject.CommonName), s.First, self, s.FirstLifetime, now)
		if err != nil {
			return nil, err
		}
		made = append(made, first)
	}
	for _, old := range s.Vouch {
		above, err := ca.Open(old)
		if err != nil {
			return nil, err
		}
		if s.First.ID != "" {
			first, err := Recertify(made[len(made)-1], above, now)
			if err != nil {
				return nil, err
			}
			made = append(made, first)
		}
		newWithOld, err := CrossCertify(root, above, now)
		if err != nil {
			return nil, err
		}
		made = append(made, newWithOld)
		if s.Key.Purpose != old.Key.Purpose {
			continue // an https-root may not vouch for others
		}
		oldWithNew, err := CrossCertify(old.Authority, self, now)
		if err != nil {
			return nil, err
		}
		made = append(made, oldWithNew)
	}
	return made, nil
}

// CountRoots returns how many roots of a purpose there have been.
func (ca *CA) CountRoots(ctx context.Context, p keys.Purpose) (n int, err error) {
	err = ca.db.View(ctx, func(tx storage.Tx) error {
		n = 0
		roots, _, err := Authorities(tx)
		for _, a := range roots {
			cert, err := x509.ParseCertificate(a.Certificate)
			if err != nil {
				return err
			}
			if https := slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth); https == (p == keys.HTTPSRoot) {
				n++
			}
		}
		return err
	})
	return n, err
}

// The keyUsage of issuing CAs, and that of cross-certificates: cRLSign alone.
const (
	usageIssuing = 0x86
	usageCross   = 0x02
)

// Recertify has another root sign a certificate for the key of an issuing CA. Name, use and
// end stay the same.
func Recertify(a Authority, root *Issuer, now time.Time) (Authority, error) {
	return again(a, root, usageIssuing, root.extensions, now)
}

// CrossCertify has one root say that another one is this authority's, too.
func CrossCertify(a Authority, root *Issuer, now time.Time) (Authority, error) {
	return again(a, root, usageCross, root.extensions, now)
}

// again makes a certificate like that of a, signed by another root.
func again(a Authority, root *Issuer, usage byte, more []byte, now time.Time) (Authority, error) {
	t, end, err := againTemplate(a, root, usage, more)
	if err != nil {
		return Authority{}, err
	}
	t.NotBefore, t.NotAfter = now.Add(-caBackdate), end
	return newAuthority(root.Signer, t, a.ID, root.ID)
}

// againTemplate returns what again signs, without notBefore and serial number, and its end.
func againTemplate(a Authority, root *Issuer, usage byte, more []byte) (t *tbsCertificate, end time.Time, err error) {
	cert, err := pkix.ParseCertificate(a.Certificate)
	if err != nil {
		return nil, end, fmt.Errorf("reading the certificate of CA %s: %w", a.ID, err)
	}
	if k := cert.AlternativeKey(); k != nil {
		alternative, err := alternativeKey(pqc.MarshalPKIXPublicKey(k))
		if err != nil {
			return nil, end, err
		}
		more = join(more, alternative)
	}
	if slices.Contains(cert.X509.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		more = join(more, extKeyUsage(oidServerAuth))
	}
	depth := int64(cert.X509.MaxPathLen)
	if a.ID == a.Root {
		depth = 0
	}
	if end = cert.X509.NotAfter; end.After(root.NotAfter) {
		end = root.NotAfter
	}
	return &tbsCertificate{
		Issuer: root.subject, Subject: cert.X509.RawSubject, PublicKey: cert.X509.RawSubjectPublicKeyInfo,
		Extensions: join(keyUsage(usage), basicConstraints(depth), subjectKeyID(cert.X509.SubjectKeyId), more),
	}, end, nil
}
