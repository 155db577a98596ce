package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/server/relying"
	"github.com/brevet-ca/brevet/storage"
)

const enrollRoute = "POST /v1/enroll"

// serveEnroll exchanges a one-time enrollment token for a first certificate.
// Any flaw of the request leaves the token as it was.
func (s *Server) serveEnroll(w http.ResponseWriter, r *http.Request) {
	issued, err := s.enroll(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.relying.Request(r, issued.Agent, "", relying.Certificate)
	writeJSON(w, admin.NewIssued(issued))
}

func (s *Server) enroll(w http.ResponseWriter, r *http.Request) (*ca.Issued, error) {
	var token, request, profile string
	if err := readJSON(w, r, map[string]any{"token": &token, "csr": &request, "profile": &profile}); err != nil {
		return nil, err
	}
	e, err := agents.ParseEnrollment(token)
	if err != nil {
		return nil, err
	}
	asked := policy.Request{Actor: "enrollment token", Action: "certificate.issue", ID: r.Header.Get("X-Request-Id")}
	agent, err := s.invited(r.Context(), e, asked)
	if err != nil {
		return nil, err
	}
	asked.Subject = string(agent)
	csr, err := ca.ParseCSRPEM([]byte(request))
	if err != nil {
		return nil, policy.Deny(r.Context(), s.db, s.clock.Now(), asked, err)
	}
	return s.ca.Issue(r.Context(), ca.Request{
		Request: asked, Agent: agent, CSR: csr, Profile: profile, Proof: "enrollment token",
		Claim: func(tx storage.Tx, _ *ca.Issued) error { return agents.Redeem(tx, e, s.clock.Now()) },
	})
}

// invited returns the agent that may enroll with the token. That a token was
// tried which had been given out, but cannot be used, is recorded: somebody
// has a copy.
func (s *Server) invited(ctx context.Context, e agents.Enrollment, asked policy.Request) (agents.Name, error) {
	var name agents.Name
	err := s.db.View(ctx, func(tx storage.Tx) (err error) {
		if name, err = agents.Invited(tx, e); err != nil {
			return err
		}
		_, err = agents.Enrollable(tx, e, s.clock.Now())
		return err
	})
	if err == nil || name == "" {
		return name, err
	}
	if errors.Is(err, agents.ErrNotActive) {
		err = fmt.Errorf("%w: %w", agents.ErrEnrollment, err)
	}
	if policy.IsDenial(err) {
		asked.Subject = string(name)
		err = policy.Deny(ctx, s.db, s.clock.Now(), asked, err)
	}
	return name, err
}

// serveCertificates issues an agent's next certificate to whoever has the
// current one.
func (s *Server) serveCertificates(w http.ResponseWriter, r *http.Request) {
	issued, err := s.reissue(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	writeJSON(w, admin.NewIssued(issued))
}

func (s *Server) reissue(w http.ResponseWriter, r *http.Request) (*ca.Issued, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, errNoCertificate
	}
	asked := policy.Request{Actor: "client certificate", Action: "certificate.issue", ID: r.Header.Get("X-Request-Id")}
	agent, proof, err := s.holder(r, asked)
	if err != nil {
		return nil, err
	}
	asked.Actor, asked.Subject = s.file.TrustDomain.ID(agent), string(agent)
	var request, ttl, profile string
	if err := readJSON(w, r, map[string]any{"csr": &request, "ttl": &ttl, "profile": &profile}); err != nil {
		return nil, err
	}
	lifetime, err := parseTTL(ttl)
	if err != nil {
		return nil, policy.Deny(r.Context(), s.db, s.clock.Now(), asked, err)
	}
	csr, err := ca.ParseCSRPEM([]byte(request))
	if err != nil {
		return nil, policy.Deny(r.Context(), s.db, s.clock.Now(), asked, err)
	}
	return s.ca.Issue(r.Context(), ca.Request{
		Request: asked, Agent: agent, CSR: csr, TTL: lifetime, Profile: profile, Proof: proof,
		// The body may have come long after the certificate was looked at.
		Claim: func(tx storage.Tx, _ *ca.Issued) error {
			_, _, err := ca.Authenticate(tx, r.TLS.PeerCertificates[0], s.clock.Now())
			return err
		},
	})
}

// holder returns the agent whose certificate the client presented, and says
// which one. What concerns an agent and cannot be used is recorded.
func (s *Server) holder(r *http.Request, asked policy.Request) (agent agents.Name, proof string, err error) {
	now := s.clock.Now()
	err = s.db.View(r.Context(), func(tx storage.Tx) error {
		_, c, err := ca.Authenticate(tx, r.TLS.PeerCertificates[0], now)
		agent, proof = c.Agent, "client certificate "+c.ID.String()
		return err
	})
	if err != nil && agent != "" && (policy.IsDenial(err) || errors.Is(err, ca.ErrNotOurs)) {
		asked.Subject = string(agent)
		err = policy.Deny(r.Context(), s.db, now, asked, err)
	}
	return agent, proof, err
}

func parseTTL(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%w ttl %q: want a duration such as 5m", agents.ErrInvalid, clip(s))
	}
	return d, nil
}
