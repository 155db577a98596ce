package authority

import (
	"context"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/storage"
)

// Start does what must be done before the first answer. It does it on a full
// disk too: revocation and introspection are what an authority is needed for
// most in trouble.
func (a *Authority) Start(ctx context.Context) error {
	ctx, now := storage.Urgent(ctx), a.Clock.Now()
	r := policy.Request{Actor: "system", Action: "server.start", Subject: string(agents.Authority)}
	err := policy.Do(ctx, a.DB, now, r, func(tx storage.Tx) (policy.Grant, error) {
		return policy.Grant{Reasons: []string{"version " + a.Version}}, a.register(tx, now)
	})
	if err != nil {
		return fmt.Errorf("registering the server's own names: %w", err)
	}
	if err := a.acceptClock(ctx); err != nil {
		return err
	}
	if _, err := a.CRL.PublishRegular(ctx); err != nil {
		return err
	}
	err = a.Own.Renew(ctx)
	if err != nil && !a.Clock.Shown().Before(a.CA.HTTPSIssuer().NotAfter) {
		a.Log.Error("there is no HTTPS until the issuer is rotated, which the operators' socket is open for", "error", err)
		return nil
	}
	return err
}

// register enters the server's own names into the registry, and into the index of
// components what was registered before there was one.
func (a *Authority) register(tx storage.Tx, now time.Time) error {
	if err := agents.AddAuthority(tx, a.File.TrustDomain, a.File.Names(), now); err != nil {
		return err
	}
	first, err := agents.IndexComponents(tx, now)
	if err != nil || !first {
		return err
	}
	return acme.IndexComponents(tx, now)
}
