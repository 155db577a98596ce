package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/pqc/pkix"
)

// move follows the authority to another URL, which it named in the answer to a renewal. The
// new URL is saved only if this authority answers there under each of the roots that are
// trusted already. The caller holds renewing.
//
// One root is not enough: the URL stays when that root is withdrawn. A thief of its key could
// answer the renewal, and the agent would never hear of the withdrawal.
func (id *Identity) move(ctx context.Context, server string) error {
	now := id.at()
	if server == "" || server == now.url {
		return nil
	}
	url, err := parseServer(server)
	if err != nil {
		return err
	}
	next := endpoint{url: url, dial: now.dial}
	roots := id.trust.Load().each()
	if len(roots) == 0 {
		return errors.New("no root that is trusted here can vouch for HTTPS")
	}
	for _, t := range roots {
		if err := next.answersUnder(ctx, t); err != nil {
			return err
		}
	}
	if err := id.dir.locked(func() error { return id.dir.note("server", url) }); err != nil {
		return err
	}
	id.authority.Store(&next)
	return nil
}

// each returns one trust for each root that can vouch for HTTPS, in that root alone.
func (t *trust) each() (all []*trust) {
	for _, root := range t.roots {
		one := &trust{roots: []*pkix.Certificate{root}, hybrid: t.hybrid}
		if one.reachable() && (!t.hybrid || root.AlternativeKey() != nil) {
			all = append(all, one)
		}
	}
	return all
}

// answersUnder checks that the authority of a root answers: its HTTPS rests on the root, and
// it publishes the root.
func (e endpoint) answersUnder(ctx context.Context, t *trust) error {
	text, err := e.as(t).get(ctx, t.config(), "/roots.pem")
	if err != nil {
		return err
	}
	published, err := parseCertificatesPEM(text)
	if err != nil {
		return fmt.Errorf("%s/roots.pem: %w", e.url, err)
	}
	if root := t.roots[0]; !slices.ContainsFunc(published, root.X509.Equal) {
		return fmt.Errorf("%s/roots.pem does not have the root with the fingerprint %s, which is trusted here", e.url, printOf(root))
	}
	return nil
}

// adoptServer takes over the URL of the authority that another process has saved.
func (id *Identity) adoptServer() {
	set, err := id.dir.settings()
	if err != nil {
		return
	}
	now := id.at()
	if url, err := parseServer(set.Server); err == nil && url != now.url {
		id.authority.Store(&endpoint{url: url, dial: now.dial})
	}
}
