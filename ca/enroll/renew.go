package enroll

import (
	"net/http"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// ServeCertificates issues an agent's next certificate to a client that presents
// the current one.
func (s *Service) ServeCertificates(w http.ResponseWriter, r *http.Request) {
	issued, err := s.reissue(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	answer(w, issued)
}

func (s *Service) reissue(w http.ResponseWriter, r *http.Request) (*ca.Issued, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, errNoCertificate
	}
	claim, err := s.holder(r)
	if err != nil {
		return nil, err
	}
	var request, ttl, profile string
	if err := readJSON(w, r, map[string]any{"csr": &request, "ttl": &ttl, "profile": &profile}); err != nil {
		return nil, err
	}
	lifetime, err := agents.ParseTTL(ttl)
	if err != nil {
		return nil, s.refuse(r.Context(), claim.Principal(), claim.Agent(), err)
	}
	csr, err := ca.ParseCSRPEM([]byte(request))
	if err != nil {
		return nil, s.refuse(r.Context(), claim.Principal(), claim.Agent(), err)
	}
	return s.CA.Issue(r.Context(), ca.Request{Claim: claim, CSR: csr, TTL: lifetime, Profile: profile})
}

// holder returns the claim of a client that presented a certificate. If the certificate
// names an agent and cannot be used, the refusal is recorded.
func (s *Service) holder(r *http.Request) (policy.Claim, error) {
	now := s.Clock.Now()
	var c ca.Certificate
	err := s.DB.View(r.Context(), func(tx storage.Tx) (err error) {
		if _, c, err = ca.AuthenticateOrphan(tx, r.TLS.PeerCertificates[0], now); err != nil {
			return err
		}
		return admission.Prove(r.Context(), c.Agent)
	})
	if err != nil {
		return policy.Claim{}, s.refuse(r.Context(), presenter, c.Agent, err)
	}
	who := policy.Agent(s.TrustDomain.ID(c.Agent))
	return policy.NewClaim(who, c.Agent, audit.ClientCertificate(c.ID.String()), ca.Renews(c.Credential)), nil
}
