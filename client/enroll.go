package client

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"path/filepath"
)

// An EnrollConfig says where and how to enroll.
type EnrollConfig struct {
	Server       string        // the https URL that the authority advertises
	Fingerprints []Fingerprint // of the root to trust; several while the authority replaces its root
	Token        Secret        // the one-time enrollment token; not needed with Key
	Dir          string        // where the identity is saved; made if it is not there
	Names        []string      // DNS names and IP addresses to have in the certificate, of those registered for the agent; none means all of them
	Profile      string        // of the authority's, for this certificate and its successors; "" means the default one
	Operator     bool          // the token is that of an operator, not of an agent; the authority refuses the wrong kind

	// Key is a file with a private key (PKCS #8 in PEM) whose public half is registered for
	// the agent, and Agent is the agent's name. With them the agent needs no token: it proves
	// who it is by that key, now and whenever its certificate cannot renew. The file stays
	// where it is.
	Key, Agent string

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
	case c.Token.Reveal() == "" && c.Key == "":
		return nil, errors.New("enrolling needs a token, which brevet agent add and brevet agent reenroll print, or a registered key")
	case c.Token.Reveal() != "" && c.Key != "":
		return nil, errors.New("enrolling needs a token or a registered key, not both")
	case (c.Key == "") != (c.Agent == ""):
		return nil, errors.New("a registered key and the name of its agent go together")
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
	p, grace, err := c.first(ctx, e, t, csr, key)
	if err != nil {
		d.discard()
		return nil, err
	}
	s := saved{server: e.url, profile: c.Profile, grace: grace, trust: t, pair: p, registered: len(c.Names) == 0}
	if c.Key != "" {
		if s.key, err = filepath.Abs(c.Key); err != nil {
			return nil, err
		}
	}
	if err := d.enroll(s); err != nil && c.Key != "" {
		return nil, fmt.Errorf("the authority issued a certificate, but it could not be saved: %w", err)
	} else if err != nil {
		return nil, fmt.Errorf("the authority issued a certificate, but it could not be saved: %w; the token is used up: %w", err, p.reenroll())
	}
	return newIdentity(d, e, s), nil
}

// first gets the first certificate, by the token or by the registered key.
func (c EnrollConfig) first(ctx context.Context, e endpoint, t *trust, csr string, key crypto.Signer) (*pair, *seconds, error) {
	a := asking{CSR: csr, Profile: c.Profile}
	if c.Key == "" {
		if a.Token = c.Token.Reveal(); c.Operator {
			a.For = "operator"
		}
		p, grace, err := e.certify(ctx, t.config(), t, "/v1/enroll", a, key)
		if err != nil {
			return nil, nil, c.tokenHint(err)
		}
		return p, grace, nil
	}
	p, grace, err := e.certifyByKey(ctx, t, c.Key, c.Agent, a, key)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("enrolling: %w", err)
	case p.agent() != c.Agent:
		return nil, nil, fmt.Errorf("enrolling: %s answered with a certificate for %s", e.url, p.agent())
	}
	return p, grace, nil
}

// tokenHint says what became of the token, if that is not obvious. A refusal does not
// use it up. An answer of 500 and above may come from a proxy that lost the
// authority's answer.
func (c EnrollConfig) tokenHint(err error) error {
	var refused *Error
	var never unsent
	if errors.As(err, &never) || errors.As(err, &refused) && refused.Status < 500 {
		return fmt.Errorf("enrolling: %w", err)
	}
	again := ErrReenroll
	if c.Operator {
		again = operatorReenroll{"NAME"}
	}
	return fmt.Errorf("enrolling: %w; the token may be used up: if it is refused now, %w", err, again)
}
