package ca

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Revoke kills one certificate that is on record and has not expired, or that may still
// renew. It does not publish the CRL. An operator may revoke one that is revoked already: that is recorded
// as allowed, ErrRevoked says so, and the earlier date and reason stand. If the reason now is
// a compromised key, the key counts as compromised all the same.
func (ca *CA) Revoke(ctx context.Context, claim policy.Claim, serial agents.CredentialID, why agents.Reason) (Certificate, error) {
	now := ca.clock.Now()
	var c Certificate
	var already error
	q := policy.Query{Claim: claim, Principal: claim.Principal(), Action: audit.CertificateRevoke, Time: now}
	err := ca.policy.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		done := policy.Done{Credential: serial.String(), Reasons: []string{why.String()}}
		var err error
		if c, err = Get(tx, serial); claim.Proof() == audit.ByOperator {
			c, err = onRecordOrList(tx, serial, now)
		}
		if err != nil {
			return done, err
		}
		if done.Subject = string(c.Agent); c.Agent == agents.Authority {
			return done, fmt.Errorf("%w: %s is the server's own certificate, which ends within the hour", agents.ErrTransition, serial)
		}
		if _, late := agents.NewStanding(tx, now).MayRenew(c.Credential, ca.grace); !now.Before(c.ID.Expires()) && errors.Is(late, agents.ErrCredentialExpired) {
			return done, late
		}
		err = agents.RevokeKey(tx, c.Credential, c.KeyHash, agents.Cutoff{At: now, Reason: why})
		if already = nil; claim.Proof() != audit.ByOperator || !errors.Is(err, agents.ErrRevoked) {
			return done, err
		}
		already, done.Reasons = err, append(done.Reasons, err.Error())
		if why == agents.KeyCompromise {
			return done, agents.RememberKey(tx, c.Agent, c.KeyHash, now)
		}
		return done, nil
	}})
	return c, cmp.Or(err, already)
}
