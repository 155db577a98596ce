package client

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix"
)

// crossPath is where an authority has its cross-certificates and the CRLs of its roots.
const crossPath = "/roots/cross.pem"

// A succession has what an authority says of its roots. Nothing in it is trusted because
// of where it comes from: each step rests on signatures of roots that are trusted already.
type succession struct {
	roots []*x509.Certificate
	cross []*pkix.Certificate
	lists []*pkix.CRL
}

// lookAgain is how soon follow looks again into roots that it could not make its own: a list
// may not have been there yet, or not have been valid by this machine's clock.
const lookAgain = time.Hour

// follow brings the trusted roots up to date if the authority publishes others. It does
// nothing if it has just looked into the same ones. The caller holds renewing.
func (id *Identity) follow(ctx context.Context, t *trust, published []string) error {
	if len(published) == 0 || slices.Equal(published, id.followed) && time.Since(id.looked) < lookAgain {
		return nil
	}
	if known := id.trust.Load().fingerprints(); len(known) != len(published) || slices.ContainsFunc(published, func(f string) bool { return !slices.Contains(known, f) }) {
		s, err := id.at().as(t).succession(ctx, t)
		if err != nil {
			return err
		}
		if err := id.take(s, t.hybrid); err != nil {
			return err
		}
	}
	id.followed, id.looked = published, time.Now()
	return nil
}

// take has the trusted roots follow a succession. Those in the directory count: another
// process may have followed meanwhile.
func (id *Identity) take(s *succession, hybrid bool) error {
	trusted := id.trust.Load()
	return id.dir.locked(func() error {
		now, err := id.dir.trust(hybrid)
		if err != nil {
			return err
		}
		next := s.apply(now, time.Now())
		if !slices.Equal(next.roots, now.roots) || !next.vouched.equal(now.vouched) {
			if err := id.dir.writeTrust(now, next); err != nil {
				return err
			}
		}
		if !next.same(trusted) {
			id.trust.Store(&trust{next.roots, next.vouched, trusted.hybrid})
		}
		return nil
	})
}

func (e endpoint) succession(ctx context.Context, t *trust) (*succession, error) {
	text, err := e.get(ctx, t.config(), "/roots.pem")
	if err != nil {
		return nil, err
	}
	roots, err := parseCertificatesPEM(text)
	if err != nil {
		return nil, fmt.Errorf("%s/roots.pem: %w", e.url, err)
	}
	if text, err = e.get(ctx, t.config(), crossPath); err != nil {
		return nil, err
	}
	s, err := parseCross(text)
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", e.url, crossPath, err)
	}
	s.roots = roots
	return s, nil
}

// parseCross reads cross-certificates and CRLs. There may be none.
func parseCross(text []byte) (*succession, error) {
	s := new(succession)
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || len(s.cross) == maxCertificates || len(s.lists) == maxCertificates {
			return nil, errors.New("it is not a file of certificates and CRLs, or has too many of them")
		}
		switch block.Type {
		case "CERTIFICATE":
			c, err := pkix.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			s.cross = append(s.cross, c)
		case "X509 CRL":
			l, err := pkix.ParseCRL(block.Bytes)
			if err != nil {
				return nil, err
			}
			s.lists = append(s.lists, l)
		default:
			return nil, fmt.Errorf("a PEM block %.40q is not expected", block.Type)
		}
	}
	return s, nil
}

var errNoCross = errors.New("there is no cross-certificate")

// check returns nil if one root vouches for another. The error is [pkix.ErrRevoked] if it
// did so and does not any more.
func (s *succession) check(t *trust, root, by *pkix.Certificate, now time.Time) error {
	if !within(root.X509, by.X509) {
		return errNoCross
	}
	return s.says(t, subjectOf(root), by, now)
}

// says is check for a root of which only name and keys are known.
func (s *succession) says(t *trust, subject string, by *pkix.Certificate, now time.Time) error {
	err := errNoCross
	for _, c := range s.cross {
		if !isCross(c) || subjectOf(c) != subject {
			continue
		}
		_, err2 := c.Verify(&pkix.Options{
			Roots: []*pkix.Certificate{by}, Time: now, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, RequireHybrid: t.hybrid, CRLs: s.lists, RequireCRLs: true,
		})
		if err2 == nil || errors.Is(err2, pkix.ErrRevoked) {
			return err2
		}
		err = errors.Join(err, err2)
	}
	return err
}

// fingerprints returns those of the trusted roots.
func (t *trust) fingerprints() (all []string) {
	for _, root := range t.roots {
		all = append(all, printOf(root))
	}
	return all
}

// same reports whether two trust the same.
func (t *trust) same(o *trust) bool {
	return slices.Equal(t.fingerprints(), o.fingerprints()) && t.vouched.equal(o.vouched) && t.hybrid == o.hybrid
}
