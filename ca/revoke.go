package ca

import (
	"context"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
)

// Revoke kills one certificate that is on record and has not expired. It does
// not publish the CRL.
func (ca *CA) Revoke(ctx context.Context, r policy.Request, serial agents.CredentialID, why agents.Reason) (Certificate, error) {
	now := ca.clock.Now()
	var c Certificate
	r.Action = "certificate.revoke"
	err := policy.Do(ctx, ca.db, now, r, func(tx storage.Tx) (policy.Grant, error) {
		g := policy.Grant{Credential: serial.String(), Reasons: []string{why.String()}}
		var err error
		if c, err = Get(tx, serial); err != nil {
			return g, err
		}
		if g.Subject = string(c.Agent); c.Agent == agents.Authority {
			return g, fmt.Errorf("%w: %s is the server's own certificate, which ends within the hour", agents.ErrTransition, serial)
		}
		return g, agents.Revoke(tx, c.Credential, agents.Cutoff{At: now, Reason: why})
	})
	return c, err
}
