package operator

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

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
	may := func(tx storage.Tx, _ *agents.Standing) error {
		a, err := agents.Get(tx, name)
		if err != nil {
			return err
		}
		return policy.MayGrant(tx, p, a)
	}
	issued, err := s.Authority.CA.Issue(ctx, ca.Request{
		Claim: policy.NewClaim(p, name, audit.ByOperator, may), OnBehalfOf: s.TrustDomain.ID(name), CSR: csr, TTL: ttl, Profile: in.Profile,
	})
	if err != nil {
		return out, err
	}
	return newIssued(issued), nil
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

func (s *Service) listCertificates(ctx context.Context, _ policy.Principal, in api.CertificateFilter) ([]api.Certificate, error) {
	switch in.State {
	case "", "active", "revoked", "expired":
	default:
		return nil, fmt.Errorf("%w state %q: want active, revoked or expired", agents.ErrInvalid, in.State)
	}
	list := []api.Certificate{}
	err := s.DB.View(ctx, func(tx storage.Tx) error {
		if err := checkAgent(tx, in.Agent); err != nil {
			return err
		}
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

func (s *Service) showCertificate(ctx context.Context, _ policy.Principal, in api.CertificateRequest) (out api.Certificate, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		serial, err := s.serial(tx, in.Serial)
		if err != nil {
			return err
		}
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
	serial, err := viewed(ctx, s.DB, in.Serial, s.serial)
	if err != nil {
		return api.Receipt{}, err
	}
	why, err := parseReason(in.Reason, agents.Unspecified)
	if err != nil {
		return api.Receipt{}, err
	}
	// Only an admin ends what another operator has.
	may := func(tx storage.Tx, _ *agents.Standing) error {
		c, err := ca.Get(tx, serial)
		holder := c.Agent
		if errors.Is(err, storage.ErrNotFound) {
			var left agents.Remembered
			left, err = agents.FindRecent(tx, "", serial)
			holder = left.Agent
		}
		if person, ok := holder.Person(); err == nil && ok && person != string(p.Person) {
			return policy.MayOperate(p, audit.OperatorSuspend)
		}
		return nil // Revoke tells of the error
	}
	c, err := s.Authority.CA.Revoke(storage.Urgent(ctx), policy.NewClaim(p, "", audit.ByOperator, may), serial, why)
	if errors.Is(err, agents.ErrRevoked) {
		return revokedAlready(s.receipt(ctx, nil, 0), c.Credential, err), nil
	}
	if err != nil {
		return api.Receipt{}, err
	}
	h := holding{Credential: c.Credential}
	h.late = h.expired(s.Clock.Now())
	if err := s.DB.View(ctx, func(tx storage.Tx) error { return h.mayRenew(tx, s.Authority.CA.RenewGrace()) }); err != nil {
		return api.Receipt{}, err
	}
	return s.receipt(ctx, []holding{h}, 0), nil
}
