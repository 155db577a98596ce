package acme

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// revoke ends a certificate on request of its own key, of the account that ordered it,
// or of an account that is authorized for all of its names (RFC 8555, section 7.6).
func (s *Service) revoke(r *request) (*answer, error) {
	var text string
	var code int
	if err := r.read(map[string]any{"certificate": &text, "reason": &code}); err != nil {
		return nil, err
	}
	why := agents.Reason(code)
	if why.String() == "" { // RFC 5280, section 5.3.1, limited to reasons that make sense here
		return nil, newProblem("badRevocationReason", "reason %d: want 0, 1, 3, 4, 5 or 9", code)
	}
	cert, err := parseCertificate(text)
	if err != nil {
		return nil, err
	}
	serial, err := s.revocable(r, cert)
	if err != nil {
		return nil, err
	}
	claim := r.claim
	if r.account == nil {
		claim = s.claimOfKey(r, serial)
	}
	// A full disk must not stop a revocation.
	_, err = s.CA.Revoke(storage.UrgentOfAgent(r.ctx), claim, serial, why)
	switch {
	case errors.Is(err, agents.ErrRevoked):
		return nil, newProblem("alreadyRevoked", "the certificate is revoked already")
	case errors.Is(err, agents.ErrCredentialExpired):
		return nil, newProblem("malformed", "the certificate has expired")
	case err != nil:
		return nil, err
	}
	if err := s.Revoked(context.WithoutCancel(r.ctx)); err != nil {
		s.Log.Error("the CRL could not be published; the revocation stands", "request", audit.RequestOf(r.ctx), "error", err)
	}
	return &answer{}, nil
}

func parseCertificate(text string) (*x509.Certificate, error) {
	der, err := strict.Base64(text)
	if err != nil {
		return nil, newProblem("malformed", "certificate is not the base64url of a DER certificate")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, newProblem("malformed", "certificate is not the base64url of a DER certificate")
	}
	return cert, nil
}

const notYours = "the certificate can be revoked by its own key, and by accounts that are authorized for all of its names"

// revocable returns the serial number of a certificate that this authority issued, if
// the request may revoke it.
func (s *Service) revocable(r *request, cert *x509.Certificate) (agents.CredentialID, error) {
	var c ca.Certificate
	var may bool
	err := s.DB.View(r.ctx, func(tx storage.Tx) (err error) {
		if c, err = ca.Find(tx, cert); err != nil {
			return err
		}
		if may, err = s.mayRevoke(tx, r, c); err != nil || !may {
			return err
		}
		return admission.Prove(r.ctx, c.Agent)
	})
	switch {
	case errors.Is(err, ca.ErrNotOurs):
		p := newProblem("malformed", "this authority has no such certificate on record, or it expired long ago")
		p.Status = http.StatusNotFound
		return c.ID, p
	case err == nil && !may && r.account == nil:
		// Anyone who has seen the certificate can come here with any number of keys.
		// So this is not recorded, and counts against the address.
		p := newProblem("unauthorized", "%s", notYours)
		p.Status = http.StatusUnauthorized
		return c.ID, p
	case err == nil && !may:
		reason := fmt.Errorf("%w: certificate %s is not this account's to revoke", policy.ErrDenied, c.ID)
		s.Policy.Refuse(r.ctx, s.query(r, audit.CertificateRevoke), reason)
		return c.ID, newProblem("unauthorized", "%s", notYours)
	}
	return c.ID, err
}

// claimOfKey is the claim of whoever signed with the key of a certificate.
func (s *Service) claimOfKey(r *request, serial agents.CredentialID) policy.Claim {
	return policy.NewClaim(s.principal(r), "", audit.Evidence{}, func(tx storage.Tx, _ *agents.Standing) error {
		c, err := ca.Get(tx, serial)
		if err == nil && !hasKey(c, r.key) {
			err = fmt.Errorf("%w: certificate %s has another key", policy.ErrDenied, serial)
		}
		return err
	})
}

func hasKey(c ca.Certificate, k *key) bool {
	hash := sha256.Sum256(k.spki)
	return subtle.ConstantTimeCompare(hash[:], c.KeyHash[:]) == 1
}

func (s *Service) mayRevoke(tx storage.Tx, r *request, c ca.Certificate) (bool, error) {
	if r.account == nil {
		return hasKey(c, r.key), nil
	}
	if c.Agent != r.account.Agent {
		return false, nil
	}
	var missing []agents.Identifier
	for _, n := range c.Names {
		if policy.Names(r.agent, []agents.Identifier{n}, nil) != nil {
			missing = append(missing, n)
		}
	}
	if len(missing) == 0 { // the registry gives the agent all of them
		return true, nil
	}
	covered := map[agents.Identifier]bool{}
	for o, err := range orders.SincePrefix(tx, r.now, r.account.ID) {
		if err != nil {
			return false, err
		}
		if !o.of(r.account) {
			continue
		}
		if o.Serial != nil && *o.Serial == c.ID {
			return true, nil
		}
		for _, n := range missing {
			covered[n] = covered[n] || o.covers(n, r.now)
		}
	}
	for _, n := range missing {
		if !covered[n] {
			return false, nil
		}
	}
	return true, nil
}
