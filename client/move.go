package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// move follows the authority to another URL, which it named in the answer to a renewal. The
// new URL is saved only if this authority answers there: by a certificate under a root that
// is trusted already, and with that root among those it publishes. The caller holds renewing.
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
	t := id.trust.Load()
	text, err := next.as(t).get(ctx, t.config(), "/roots.pem")
	if err != nil {
		return err
	}
	published, err := parseCertificatesPEM(text)
	if err != nil {
		return fmt.Errorf("%s/roots.pem: %w", url, err)
	}
	for _, root := range published {
		if slices.Contains(t.fingerprints(), fingerprint(root).String()) {
			if err := id.dir.locked(func() error { return id.dir.note("server", url) }); err != nil {
				return err
			}
			id.authority.Store(&next)
			return nil
		}
	}
	return errors.New(url + "/roots.pem has none of the roots that are trusted here")
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
