package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Renew gets the next certificate, with a new key, by proving possession of
// the current one (mutual TLS), and saves both. The current one may have expired: the
// authority decides for how long it still renews. If it refuses the certificate, and the
// identity has a lasting key (see EnrollConfig), that is used. If the authority limits the age
// of that key, Renew replaces it in time. An error that is [ErrReenroll]
// is final. If only saving failed, the new certificate is used nevertheless.
func (id *Identity) Renew(ctx context.Context) error {
	id.renewing.Lock()
	defer id.renewing.Unlock()
	return id.renew(ctx, id.trust.Load(), "")
}

// renew is Renew under the terms of t, by a profile if that is not "", which is
// then saved along with the certificate. The caller holds renewing.
func (id *Identity) renew(ctx context.Context, t *trust, profile string) error {
	current := id.pair()
	key, err := newKey()
	if err != nil {
		return err
	}
	wanted := id.Names
	if set, err := id.dir.settings(); wanted == nil && (err != nil || !set.Registered) {
		wanted = names(current.Leaf)
	}
	a := asking{Profile: cmp.Or(profile, id.Profile, id.remembered())}
	if id.TTL > 0 {
		a.TTL = id.TTL.String()
	}
	if a.CSR, err = newRequest(key, wanted); err != nil {
		return err
	}
	next, grace, err := id.certify(ctx, t.mutual(current), t, current.agent(), a, key)
	var refused *Error
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return fmt.Errorf("renewing the certificate of %s: %w", current.agent(), id.final(current, refused, time.Now()))
	case err != nil:
		return fmt.Errorf("renewing the certificate of %s: %w", current.agent(), err)
	case spiffeID(next.Leaf) != spiffeID(current.Leaf):
		return fmt.Errorf("renewing the certificate of %s: %s answered with one for %s", current.agent(), id.at().url, next.agent())
	}
	err = id.dir.save(next, func() error { return id.dir.noteTerms(profile, grace) })
	id.replace(next)
	if err != nil {
		return fmt.Errorf("the certificate of %s is renewed, but could not be saved: %w", next.agent(), err)
	}
	lastingErr := id.keepLasting(ctx, t, next.agent(), next.registered)
	if err := id.follow(ctx, t, next.roots); err != nil {
		return fmt.Errorf("the certificate of %s is renewed, but the authority's new roots could not be followed: %w", next.agent(), err)
	}
	if err := id.move(ctx, next.server); err != nil {
		return fmt.Errorf("the certificate of %s is renewed, but the authority has moved and could not be reached there: %w", next.agent(), err)
	}
	if lastingErr != nil {
		return fmt.Errorf("the certificate of %s is renewed, but %w", next.agent(), lastingErr)
	}
	return nil
}

// final says what follows from a refusal of the certificate: it cannot renew any more, unless
// only the authority's clock says so.
func (id *Identity) final(p *pair, refused *Error, now time.Time) error {
	end := id.end(p)
	switch {
	case now.Before(end) && !refused.date.Before(end),
		id.lasting() != "" && refused.date.Sub(now).Abs() > time.Minute: // an assertion has times, too
		return fmt.Errorf("%w; its clock says %s, and here it is %s: one of them is wrong", refused, refused.date.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case !now.Before(p.Leaf.NotAfter):
		return p.expired(now, fmt.Errorf("and %w: %w", refused, p.reenroll()))
	}
	return fmt.Errorf("%w: %w", refused, p.reenroll())
}

// alive returns the current pair if it can authenticate, to renew and for anything else.
func (id *Identity) alive(now time.Time) (*pair, error) {
	p := id.pair()
	if !now.Before(p.Leaf.NotAfter) {
		return nil, p.expired(now, errors.New("and must be renewed first: brevet client cert"))
	}
	return p, nil
}

// mutual configures a connection to the authority that presents p. The certificate
// is sent even if the server says that it does not accept it: the answer explains
// a refusal better than TLS does.
func (t *trust) mutual(p *pair) *tls.Config {
	c := t.config()
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &p.Certificate, nil }
	return c
}
