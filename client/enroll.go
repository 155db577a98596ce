package client

import (
	"context"
	"errors"
	"fmt"
)

// An EnrollConfig says where and how to enroll.
type EnrollConfig struct {
	Server       string        // the https URL that the authority advertises
	Fingerprints []Fingerprint // of the root to trust; several while the authority replaces its root
	Token        Secret        // the one-time enrollment token
	Dir          string        // where the identity is saved; made if it is not there
	Names        []string      // DNS names and IP addresses to have in the certificate, of those registered for the agent
	Profile      string        // of the authority's, for this certificate and its successors; "" means the default one

	// RequireHybrid has the identity refuse, now and later, every chain that has a
	// signature without ML-DSA: see [Identity.RequireHybrid]. The token is then sent
	// only over a connection with a hybrid chain.
	RequireHybrid bool
}

// Enroll makes a key and trades the enrollment token for a certificate. It sends
// the token only over a connection that the pinned root vouches for. The
// directory may hold an identity already; it is replaced once the new one is
// complete. Enroll saves the key before it sends the token: if the directory cannot
// be written to, the token is not used up.
//
// The token can be used once. If it was sent and no good answer came, or the answer
// could not be saved, it cannot be tried again: a certificate that the authority
// issued is lost and will expire. The operator gives out a new token with brevet
// agent reenroll.
func Enroll(ctx context.Context, c EnrollConfig) (*Identity, error) {
	server, err := parseServer(c.Server)
	if err != nil {
		return nil, err
	}
	return c.enroll(ctx, endpoint{url: server})
}

func (c EnrollConfig) enroll(ctx context.Context, e endpoint) (*Identity, error) {
	switch {
	case len(c.Fingerprints) == 0:
		return nil, errors.New("enrolling needs the fingerprint of the root, which brevet init and brevet status print")
	case c.Token.Reveal() == "":
		return nil, errors.New("enrolling needs a token, which brevet agent add and brevet agent reenroll print")
	case c.Dir == "":
		return nil, errors.New("enrolling needs a directory to save the identity in")
	}
	roots, err := fetchRoots(ctx, e, c.Fingerprints)
	if err != nil {
		return nil, err
	}
	t, err := newTrust(roots, c.RequireHybrid)
	if err != nil {
		return nil, err
	}
	if !t.reachable() {
		return nil, errors.New("the pinned root vouches for no HTTPS, since TLS cannot verify composite or ML-DSA signatures: give the fingerprint of the authority's classical root, too, which brevet init and brevet status print")
	}
	if err := t.checkIssuer(ctx, e); err != nil {
		return nil, fmt.Errorf("enrolling: %w", err)
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	csr, err := newRequest(key, c.Names)
	if err != nil {
		return nil, err
	}
	text, err := keyPEM(key)
	if err != nil {
		return nil, err
	}
	d := directory(c.Dir)
	if err := d.prepare(text); err != nil {
		return nil, fmt.Errorf("preparing %s: %w", d, err)
	}
	p, grace, err := e.certify(ctx, t.config(), t, "/v1/enroll", asking{Token: c.Token.Reveal(), CSR: csr, Profile: c.Profile}, key)
	if err != nil {
		d.discard()
		return nil, tokenHint(err)
	}
	s := saved{server: e.url, profile: c.Profile, grace: grace, trust: t, pair: p}
	if err := d.enroll(s); err != nil {
		return nil, fmt.Errorf("the authority issued a certificate, but it could not be saved: %w; the token is used up: %w", err, ErrReenroll)
	}
	return newIdentity(d, e, s), nil
}

// tokenHint says what became of the token, if that is not obvious. A refusal does not
// use it up. An answer of 500 and above may come from a proxy that lost the
// authority's answer.
func tokenHint(err error) error {
	var refused *Error
	var never unsent
	if errors.As(err, &never) || errors.As(err, &refused) && refused.Status < 500 {
		return fmt.Errorf("enrolling: %w", err)
	}
	return fmt.Errorf("enrolling: %w; the token may be used up: if it is refused now, %w", err, ErrReenroll)
}
