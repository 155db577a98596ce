package authority

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// stragglers is for how long after a move a certificate may still be issued that names the
// old base URL: it was being signed, or another node has not followed yet.
const stragglers = time.Minute

// survey finds when the last certificate ends that was issued before a move, and when the
// last of their agents and operators cannot come back to the old URL any more. It counts those
// that name the old base: they were issued while the authority was there, from begin to end.
func (a *Authority) survey(tx storage.Tx, m *Move, begin, end, now time.Time) error {
	longest, err := LongestCertificate(tx, a.File)
	if err != nil {
		return err
	}
	m.Certificates = 0
	last := m.Moved.Add(longest)
	for c, err := range ca.Since(tx, now) {
		switch {
		case err != nil:
			return err
		case c.Agent == agents.Authority:
			continue
		case c.ID.Expires().After(last):
			last = c.ID.Expires()
		}
		if !c.IssuedAt.Before(begin) && !c.IssuedAt.After(end) {
			m.Certificates++
		}
	}
	m.Last, m.Covers = last, last
	if m.Base == m.NewBase {
		m.Covers, m.Certificates = time.Time{}, 0
	}
	m.Grace, err = a.longestGrace(tx)
	return err
}

// longestGrace returns the longest window in which an agent may renew an expired certificate.
func (a *Authority) longestGrace(tx storage.Tx) (grace time.Duration, err error) {
	for one, err := range agents.All(tx) {
		if err != nil {
			return 0, err
		}
		grace = max(grace, one.RenewGraceOf(a.File.RenewGrace))
	}
	return grace, nil
}

// LengthenFormer has the former addresses answer for longer, if agents may renew for longer
// now than when the authority moved. An address that has ended stays so: its name may be an
// agent's by now.
func LengthenFormer(tx storage.Tx, grace time.Duration, now time.Time) error {
	l, err := address.Load(tx)
	if err != nil {
		return err
	}
	if l, changed := l.Lengthened(grace, now); changed {
		return l.Save(tx)
	}
	return nil
}

// lengthenFormer is LengthenFormer for the windows that agents have by a new brevet.yaml.
func (a *Authority) lengthenFormer(tx storage.Tx, now time.Time) error {
	if len(a.Address.List().Former(now)) == 0 {
		return nil
	}
	grace, err := a.longestGrace(tx)
	if err != nil {
		return err
	}
	return LengthenFormer(tx, grace, now)
}

// A Naming is a CA certificate that names the base URL of a former address.
type Naming struct {
	ID      string
	Purpose keys.Purpose
	Ends    time.Time
}

// Named returns the certificates of CAs at work that name a base URL.
func (a *Authority) Named(ctx context.Context, base string) (found []Naming, err error) {
	err = a.DB.View(ctx, func(tx storage.Tx) error {
		_, issuers, err := ca.Authorities(tx)
		for _, i := range issuers {
			k, err := keys.Get(tx, i.ID)
			if err != nil {
				return err
			}
			c, err := x509.ParseCertificate(i.Certificate)
			if err != nil {
				return err
			}
			if k.State != keys.StateRetired && names(c, base) {
				found = append(found, Naming{i.ID, k.Purpose, c.NotAfter})
			}
		}
		return err
	})
	return found, err
}

// names reports whether a URL in c is below base.
func names(c *x509.Certificate, base string) bool {
	for _, list := range [][]string{c.CRLDistributionPoints, c.OCSPServer, c.IssuingCertificateURL} {
		for _, u := range list {
			if strings.HasPrefix(u, base+"/") {
				return true
			}
		}
	}
	return false
}
