package enroll

import (
	"errors"
	"net/http"
	"time"

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
	s.answer(w, issued)
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
	if errors.Is(err, agents.ErrCredentialExpired) {
		return s.lateHolder(r, now)
	}
	if err != nil {
		return policy.Claim{}, s.refuse(r.Context(), presenter, c.Agent, err)
	}
	who := policy.Agent(s.TrustDomain.ID(c.Agent))
	return policy.NewClaim(who, c.Agent, audit.ClientCertificate(c.ID.String()), ca.Renews(c.Credential)), nil
}

// lateHolder is holder for a certificate that has expired. After an outage, many agents come at
// once: those over the pace are told when to come again.
func (s *Service) lateHolder(r *http.Request, now time.Time) (policy.Claim, error) {
	var c agents.Credential
	var check policy.Check
	err := s.DB.View(r.Context(), func(tx storage.Tx) (err error) {
		if c, check, err = s.CA.AuthenticateLate(tx, r.TLS.PeerCertificates[0], now); err != nil {
			return err
		}
		return admission.Prove(r.Context(), c.Agent)
	})
	if err != nil {
		return policy.Claim{}, s.refuse(r.Context(), presenter, c.Agent, err)
	}
	if wait := s.late.Wait(); wait > 0 {
		return policy.Claim{}, &busyError{wait}
	}
	who := policy.Agent(s.TrustDomain.ID(c.Agent))
	return policy.NewClaim(who, c.Agent, audit.ExpiredCertificate(c.ID.String()), check), nil
}

// A busyError says that too many expired certificates are being renewed at the moment.
type busyError struct{ wait time.Duration }

func (e *busyError) Error() string {
	return "too many agents renew expired certificates at the moment"
}
