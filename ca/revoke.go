package ca

import (
	"context"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Revoke kills one certificate that is on record and has not expired. It does
// not publish the CRL.
func (ca *CA) Revoke(ctx context.Context, claim policy.Claim, serial agents.CredentialID, why agents.Reason) (Certificate, error) {
	now := ca.clock.Now()
	var c Certificate
	q := policy.Query{Claim: claim, Principal: claim.Principal(), Action: audit.CertificateRevoke, Time: now}
	err := ca.policy.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		done := policy.Done{Credential: serial.String(), Reasons: []string{why.String()}}
		var err error
		if c, err = Get(tx, serial); err != nil {
			return done, err
		}
		if done.Subject = string(c.Agent); c.Agent == agents.Authority {
			return done, fmt.Errorf("%w: %s is the server's own certificate, which ends within the hour", agents.ErrTransition, serial)
		}
		return done, agents.RevokeKey(tx, c.Credential, c.KeyHash, agents.Cutoff{At: now, Reason: why})
	}})
	return c, err
}
