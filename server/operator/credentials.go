package operator

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
		operation(api.IssueCertificate, s.issue),
		operation(api.ListCertificates, s.listCertificates),
		operation(api.ShowCertificate, s.showCertificate),
		operation(api.RevokeCertificate, s.revokeCertificate),
		operation(api.ListTokens, s.listTokens),
		operation(api.RevokeToken, s.revokeToken),
		operation(api.Introspect, s.introspect),
		operation(api.Revoke, s.revoke),
	}
}

// newIssued returns a certificate as the operator gets it.
func newIssued(i *ca.Issued) api.Issued {
	return api.Issued{
		Certificate: string(ca.PEM(i.DER)), Chain: string(ca.PEM(i.Issuer.Chain...)), NotAfter: i.ID.Expires(),
	}
}

func (s *Service) issue(ctx context.Context, p policy.Principal, in api.IssueRequest) (out api.Issued, err error) {
	name, err := agents.ParseName(in.Agent)
	if err != nil {
		return out, err
	}
	ttl, err := agents.ParseTTL(in.TTL)
	if err != nil {
		return out, err
	}
	csr, err := ca.ParseCSRPEM([]byte(in.CSR))
	if name == agents.Authority {
		err = fmt.Errorf("%w: %s is the authority itself, whose certificate nobody else has the key of", agents.ErrTransition, name)
	}
	if err != nil {
		q := policy.Query{Principal: p, Action: audit.CertificateIssue, Subject: string(name), Time: s.Clock.Now()}
		return out, s.Policy.Refuse(ctx, q, err)
	}
	issued, err := s.Authority.CA.Issue(ctx, ca.Request{
		Claim: policy.NewClaim(p, name, audit.ByOperator, nil), OnBehalfOf: s.TrustDomain.ID(name), CSR: csr, TTL: ttl, Profile: in.Profile,
	})
	if err != nil {
		return out, err
	}
	return newIssued(issued), nil
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

func (s *Service) certificate(standing *agents.Standing, c ca.Certificate) (api.Certificate, error) {
	st, cutoff, err := state(standing, c.Credential, s.Clock.Now())
	out := api.Certificate{
		Serial: c.ID.String(), Agent: string(c.Agent), State: st, Issuer: c.Issuer, IssuedAt: c.IssuedAt, NotBefore: c.NotBefore,
		NotAfter: c.ID.Expires(), Profile: c.Profile, Names: []string{s.TrustDomain.ID(c.Agent)},
		Fingerprint: hex.EncodeToString(c.Fingerprint[:]),
	}
	if c.HostName {
		out.Names = append(out.Names, s.TrustDomain.Host(c.Agent))
	}
	for _, n := range c.Names {
		out.Names = append(out.Names, n.Value)
	}
	if st == "revoked" {
		out.RevokedAt, out.Reason = cutoff.Date(), cutoff.Reason.String()
	}
	return out, err
}

// past is how far back lists look for credentials that have expired.
const past = 24 * time.Hour

func (s *Service) listCertificates(ctx context.Context, _ policy.Principal, in api.CertificateFilter) ([]api.Certificate, error) {
	switch in.State {
	case "", "active", "revoked", "expired":
	default:
		return nil, fmt.Errorf("%w state %q: want active, revoked or expired", agents.ErrInvalid, in.State)
	}
	if err := checkAgent(in.Agent); err != nil {
		return nil, err
	}
	list := []api.Certificate{}
	err := s.DB.View(ctx, func(tx storage.Tx) error {
		standing := agents.NewStanding(tx, s.Clock.Now())
		for c, err := range ca.Since(tx, s.Clock.Now().Add(-past)) {
			if err != nil {
				return err
			}
			if in.Agent != "" && in.Agent != string(c.Agent) {
				continue
			}
			out, err := s.certificate(standing, c)
			if err != nil {
				return err
			}
			if in.State == "" || in.State == out.State {
				list = append(list, out)
			}
		}
		return nil
	})
	return list, err
}

// checkAgent checks the name of an agent by which a list is filtered; "" means all.
func checkAgent(name string) error {
	if name == "" {
		return nil
	}
	_, err := agents.ParseName(name)
	return err
}

func (s *Service) showCertificate(ctx context.Context, _ policy.Principal, in api.CertificateRequest) (out api.Certificate, err error) {
	serial, err := agents.ParseCredentialID(in.Serial)
	if err != nil {
		return out, err
	}
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		c, err := ca.Get(tx, serial)
		if err != nil {
			return err
		}
		out, err = s.certificate(agents.NewStanding(tx, s.Clock.Now()), c)
		return err
	})
	return out, err
}

func (s *Service) revokeCertificate(ctx context.Context, p policy.Principal, in api.CertificateRevocation) (api.Receipt, error) {
	serial, err := agents.ParseCredentialID(in.Serial)
	if err != nil {
		return api.Receipt{}, err
	}
	why, err := parseReason(in.Reason, agents.Unspecified)
	if err != nil {
		return api.Receipt{}, err
	}
	c, err := s.Authority.CA.Revoke(storage.Urgent(ctx), policy.NewClaim(p, "", audit.ByOperator, nil), serial, why)
	if err != nil {
		return api.Receipt{}, err
	}
	return s.receipt(ctx, []holding{{c.Credential, false}}, 0), nil
}

func (s *Service) listTokens(ctx context.Context, _ policy.Principal, in api.TokenFilter) ([]api.Token, error) {
	if err := checkAgent(in.Agent); err != nil {
		return nil, err
	}
	list := []api.Token{}
	err := s.DB.View(ctx, func(tx storage.Tx) error {
		standing := agents.NewStanding(tx, s.Clock.Now())
		for t, err := range tokens.Since(tx, s.Clock.Now().Add(-past)) {
			if err != nil {
				return err
			}
			if in.Agent != "" && in.Agent != string(t.Agent) {
				continue
			}
			st, cutoff, err := state(standing, t.Credential, s.Clock.Now())
			if err != nil {
				return err
			}
			list = append(list, newToken(t, st, cutoff))
		}
		return nil
	})
	return list, err
}

func newToken(t tokens.Token, state string, cutoff agents.Cutoff) api.Token {
	out := api.Token{
		ID: t.ID.String(), Agent: string(t.Agent), State: state, IssuedAt: t.IssuedAt, Expires: t.ID.Expires(),
		Scope: agents.JoinScopes(t.Scopes), Audiences: t.Audiences,
	}
	if t.Bound != nil && t.Bound.Kind == tokens.ToCertificate {
		out.Bound = t.Bound.Certificate.ID.String()
	}
	if state == "revoked" {
		out.RevokedAt, out.Reason = cutoff.Date(), cutoff.Reason.String()
	}
	return out
}

func (s *Service) revokeToken(ctx context.Context, p policy.Principal, in api.TokenRevocation) (api.Receipt, error) {
	jti, err := agents.ParseCredentialID(in.ID)
	if err != nil {
		return api.Receipt{}, err
	}
	why, err := parseReason(in.Reason, agents.Unspecified)
	if err != nil {
		return api.Receipt{}, err
	}
	t, err := s.Authority.Tokens.Revoke(storage.Urgent(ctx), policy.NewClaim(p, "", audit.ByOperator, nil), jti, why)
	if err != nil {
		return api.Receipt{}, err
	}
	return count([]holding{{t.Credential, true}}, s.Clock.Now(), 0), nil // no CRL lists tokens
}

func (s *Service) introspect(ctx context.Context, _ policy.Principal, in api.IntrospectRequest) (json.RawMessage, error) {
	var out tokens.Introspection
	err := s.DB.View(ctx, func(tx storage.Tx) (err error) {
		out, err = s.Authority.Tokens.Introspect(tx, in.Token, s.Clock.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}
