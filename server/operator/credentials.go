package operator

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens"
)

func (s *Service) credentialOperations() []Operation {
	return []Operation{
		operation(s, audit.CertificateIssue, api.IssueCertificate, s.issue),
		operation(s, policy.Read, api.ListCertificates, s.listCertificates),
		operation(s, policy.Read, api.ShowCertificate, s.showCertificate),
		operation(s, audit.CertificateRevoke, api.RevokeCertificate, s.revokeCertificate),
		operation(s, policy.Read, api.ListTokens, s.listTokens),
		operation(s, policy.Read, api.MintOperatorToken, s.mintOperatorToken),
		operation(s, audit.TokenRevoke, api.RevokeToken, s.revokeToken),
		operation(s, policy.Read, api.Introspect, s.introspect),
		operation(s, audit.CredentialRevoke, api.Revoke, s.revoke),
	}
}

// state returns the state of a credential, and what killed it.
func state(s *agents.Standing, c agents.Credential, now time.Time) (string, agents.Cutoff, error) {
	cutoff, dead, err := s.Ended(c)
	switch {
	case err != nil:
		return "", cutoff, err
	case dead:
		return "revoked", cutoff, nil
	case !now.Before(c.ID.Expires()):
		return "expired", agents.Cutoff{}, nil
	}
	return "active", agents.Cutoff{}, nil
}

// past is how far back lists look for credentials that have expired.
const past = 24 * time.Hour

// resolve returns the credential that a reference names among those given. Errors
// call it what.
func resolve(text, what string, among iter.Seq2[agents.Credential, error]) (agents.CredentialID, error) {
	r, err := agents.ParseCredentialRef(text)
	if err != nil {
		return agents.CredentialID{}, err
	}
	if id, ok := r.Whole(); ok {
		return id, nil
	}
	var found []agents.CredentialID
	for c, err := range among {
		if err != nil {
			return agents.CredentialID{}, err
		}
		if r.Names(c.ID) {
			found = append(found, c.ID)
		}
	}
	switch len(found) {
	case 0:
		return agents.CredentialID{}, fmt.Errorf("%w: no %s that is valid or expired within the last day begins with %s", storage.ErrNotFound, what, text)
	case 1:
		return found[0], nil
	}
	return agents.CredentialID{}, fmt.Errorf("%w %s %s: %d begin so, among them %s and %s; give more digits", agents.ErrInvalid, what, text, len(found), found[0], found[1])
}

// credentialsOf yields the credentials of records.
func credentialsOf[R any](records iter.Seq2[R, error], of func(R) agents.Credential) iter.Seq2[agents.Credential, error] {
	return func(yield func(agents.Credential, error) bool) {
		for r, err := range records {
			if !yield(of(r), err) {
				return
			}
		}
	}
}

// serial returns the certificate's identifier that a reference names.
func (s *Service) serial(tx storage.Tx, text string) (agents.CredentialID, error) {
	all := ca.Since(tx, s.Clock.Now().Add(-past))
	return resolve(text, "certificate", credentialsOf(all, func(c ca.Certificate) agents.Credential { return c.Credential }))
}

// jti returns the token's identifier that a reference names.
func (s *Service) jti(tx storage.Tx, text string) (agents.CredentialID, error) {
	all := tokens.Since(tx, s.Clock.Now().Add(-past))
	return resolve(text, "access token", credentialsOf(all, func(t tokens.Token) agents.Credential { return t.Credential }))
}

// viewed runs a look-up on a snapshot.
func viewed(ctx context.Context, db storage.DB, text string, find func(storage.Tx, string) (agents.CredentialID, error)) (id agents.CredentialID, err error) {
	err = db.View(ctx, func(tx storage.Tx) error { id, err = find(tx, text); return err })
	return id, err
}

// checkAgent checks that there is an agent of the name by which a list is filtered; ""
// means all.
func checkAgent(tx storage.Tx, name string) error {
	if name == "" {
		return nil
	}
	n, err := agents.ParseName(name)
	if err == nil {
		_, err = agents.Get(tx, n)
	}
	return err
}

// revokedAlready is the receipt for a credential that was revoked before. It can still
// work as long as others that end with it.
func revokedAlready(rc api.Receipt, c agents.Credential, why error) api.Receipt {
	rc.Note = why.Error()
	if end := c.ID.Expires(); end.After(rc.DeadAfter) {
		rc.DeadAfter = end
	}
	return rc
}
