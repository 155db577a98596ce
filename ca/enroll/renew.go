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
	agent, proof, err := s.holder(r)
	if err != nil {
		return nil, err
	}
	who := policy.Agent(s.TrustDomain.ID(agent))
	var request, ttl, profile string
	if err := readJSON(w, r, map[string]any{"csr": &request, "ttl": &ttl, "profile": &profile}); err != nil {
		return nil, err
	}
	lifetime, err := agents.ParseTTL(ttl)
	if err != nil {
		return nil, s.refuse(r.Context(), who, agent, err)
	}
	csr, err := ca.ParseCSRPEM([]byte(request))
	if err != nil {
		return nil, s.refuse(r.Context(), who, agent, err)
	}
	return s.CA.Issue(r.Context(), ca.Request{
		Principal: who, Agent: agent, CSR: csr, TTL: lifetime, Profile: profile, Proof: proof,
		// The body may have come long after the certificate was looked at.
		Claim: func(tx storage.Tx, _ *ca.Issued) error {
			_, _, err := ca.Authenticate(tx, r.TLS.PeerCertificates[0], s.Clock.Now())
			return err
		},
	})
}

// holder returns the agent whose certificate the client presented, and says
// which certificate. If a certificate names an agent and cannot be used, the
// refusal is recorded.
func (s *Service) holder(r *http.Request) (agent agents.Name, proof audit.Evidence, err error) {
	now := s.Clock.Now()
	err = s.DB.View(r.Context(), func(tx storage.Tx) error {
		_, c, err := ca.Authenticate(tx, r.TLS.PeerCertificates[0], now)
		agent, proof = c.Agent, audit.ClientCertificate(c.ID.String())
		if err != nil {
			return err
		}
		return admission.Prove(r.Context(), agent)
	})
	if err != nil {
		err = s.refuse(r.Context(), presenter, agent, err)
	}
	return agent, proof, err
}
