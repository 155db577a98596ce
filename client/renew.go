package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"time"
)

// Renew gets the next certificate, with a new key, by proving possession of
// the current one (mutual TLS), and saves both. An error that is [ErrReenroll]
// is final. If only saving failed, the new certificate is used nevertheless.
func (id *Identity) Renew(ctx context.Context) error {
	id.renewing.Lock()
	defer id.renewing.Unlock()
	return id.renew(ctx, id.trust.Load(), "")
}

// renew is Renew under the terms of t, by a profile if that is not "", which is
// then saved along with the certificate. The caller holds renewing.
func (id *Identity) renew(ctx context.Context, t *trust, profile string) error {
	current, err := id.alive(time.Now())
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	wanted := id.Names
	if wanted == nil {
		wanted = names(current.Leaf)
	}
	a := asking{Profile: cmp.Or(profile, id.Profile, id.remembered())}
	if id.TTL > 0 {
		a.TTL = id.TTL.String()
	}
	if a.CSR, err = newRequest(key, wanted); err != nil {
		return err
	}
	next, err := id.authority.certify(ctx, t.mutual(current), t, "/v1/certificates", a, key)
	var refused *Error
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return fmt.Errorf("renewing the certificate of %s: %w: %w", current.agent(), err, ErrReenroll)
	case err != nil:
		return fmt.Errorf("renewing the certificate of %s: %w", current.agent(), err)
	case spiffeID(next.Leaf) != spiffeID(current.Leaf):
		return fmt.Errorf("renewing the certificate of %s: %s answered with one for %s", current.agent(), id.authority.url, next.agent())
	}
	var first func() error
	if profile != "" {
		first = func() error { return id.dir.note("profile", profile) }
	}
	err = id.dir.save(next, first)
	id.replace(next)
	if err != nil {
		return fmt.Errorf("the certificate of %s is renewed, but could not be saved: %w", next.agent(), err)
	}
	return nil
}

// alive returns the current pair if it can still authenticate.
func (id *Identity) alive(now time.Time) (*pair, error) {
	p := id.pair()
	if !now.Before(p.Leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate of %s expired at %s, and here it is %s: %w",
			p.agent(), p.Leaf.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), ErrReenroll)
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

const (
	minRetry = time.Second
	maxRetry = 30 * time.Second
	// glance is how long the loops sleep without looking at the clock: a timer
	// stands still while the machine is suspended.
	glance = 10 * time.Second
)

// Run keeps the certificate fresh until ctx is done: it renews when two thirds
// of the certificate's life are over, and tries again if that fails. Several
// processes may run over one directory: what one renews the others take over.
//
// report, if not nil, is called each time the certificate was replaced, with
// nil, and each time a renewal failed, with the reason. Run returns when ctx
// is done, with its error, or with an error that is [ErrReenroll] when nothing
// but an enrollment helps: the agent's certificates were revoked, or the
// machine slept until the last one had expired.
func (id *Identity) Run(ctx context.Context, report func(error)) error {
	if report == nil {
		report = func(error) {}
	}
	for seen, failures := id.current.Load(), 0; ; {
		p := id.pair()
		if p != seen {
			seen, failures = p, 0
			report(nil)
		}
		if time.Now().Before(p.renewAt) {
			if !wait(ctx, p.renewAt, p.replaced) {
				return context.Cause(ctx)
			}
			continue
		}
		err := id.Renew(ctx)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		report(err)
		if errors.Is(err, ErrReenroll) {
			return err
		}
		again := time.Now().Add(retryDelay(err, failures))
		if failures++; again.After(p.Leaf.NotAfter) {
			again = p.Leaf.NotAfter
		}
		if !wait(ctx, again, p.replaced) {
			return context.Cause(ctx)
		}
	}
}

// retryDelay returns how long to wait after a failure, given how many came before it.
// The delay doubles each time; up to a half of it is random. It is at least as long
// as the authority asked for.
func retryDelay(err error, failures int) time.Duration {
	d := min(minRetry<<min(failures, 10), maxRetry)
	d = d/2 + time.Duration(mathrand.Int64N(int64(d/2)))
	var refused *Error
	if errors.As(err, &refused) {
		d = max(d, refused.RetryAfter)
	}
	return d
}

// wait returns true at the time t of the wall clock or when wake is closed, and
// false when ctx is done before.
func wait(ctx context.Context, t time.Time, wake <-chan struct{}) bool {
	t = t.Round(0) // drop the monotonic reading
	for {
		left := time.Until(t)
		if left <= 0 {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(min(left, glance))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-wake:
			timer.Stop()
			return true
		case <-timer.C:
		}
	}
}
