package admin

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/tokens"
)

// NewIssued returns a certificate as it is handed out.
func NewIssued(i *ca.Issued) api.Issued {
	return api.Issued{
		Certificate: string(ca.PEM(i.DER)), Chain: string(ca.PEM(i.Issuer.Chain...)), NotAfter: i.ID.Expires(),
	}
}

func (h *Handler) issue(r *http.Request) (any, error) {
	name, err := agentName(r)
	if err != nil {
		return nil, err
	}
	var in api.IssueRequest
	if err := read(r, &in); err != nil {
		return nil, err
	}
	var ttl time.Duration
	if in.TTL != "" {
		if ttl, err = time.ParseDuration(in.TTL); err != nil || ttl <= 0 {
			return nil, fmt.Errorf("%w ttl %q: want a duration such as 5m", agents.ErrInvalid, in.TTL)
		}
	}
	asked := h.request(r, "certificate.issue", string(name))
	if name == agents.Authority {
		err := fmt.Errorf("%w: %s is the authority itself, whose certificate nobody else has the key of", agents.ErrTransition, name)
		return nil, policy.Deny(r.Context(), h.DB, h.Clock.Now(), asked, err)
	}
	csr, err := ca.ParseCSRPEM([]byte(in.CSR))
	if err != nil {
		return nil, policy.Deny(r.Context(), h.DB, h.Clock.Now(), asked, err)
	}
	asked.OnBehalfOf = h.TrustDomain.ID(name)
	issued, err := h.CA.Issue(r.Context(), ca.Request{
		Request: asked, Agent: name, CSR: csr, TTL: ttl, Profile: in.Profile, Proof: "an operator",
	})
	if err != nil {
		return nil, err
	}
	return NewIssued(issued), nil
}

// state tells what became of a credential, and what killed it.
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

func (h *Handler) certificate(s *agents.Standing, c ca.Certificate) (api.Certificate, error) {
	st, cutoff, err := state(s, c.Credential, h.Clock.Now())
	out := api.Certificate{
		Serial: c.ID.String(), Agent: string(c.Agent), State: st, Issuer: c.Issuer, IssuedAt: c.IssuedAt, NotBefore: c.NotBefore,
		NotAfter: c.ID.Expires(), Profile: c.Profile, Names: []string{h.TrustDomain.ID(c.Agent), h.TrustDomain.Host(c.Agent)},
		Fingerprint: hex.EncodeToString(c.Fingerprint[:]),
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

func (h *Handler) listCertificates(r *http.Request) (any, error) {
	agent, want := r.URL.Query().Get("agent"), r.URL.Query().Get("state")
	switch want {
	case "", "active", "revoked", "expired":
	default:
		return nil, fmt.Errorf("%w state %q: want active, revoked or expired", agents.ErrInvalid, want)
	}
	list := []api.Certificate{}
	err := h.view(r, func(tx storage.Tx) error {
		standing := agents.NewStanding(tx, h.Clock.Now())
		for c, err := range ca.Since(tx, h.Clock.Now().Add(-past)) {
			if err != nil {
				return err
			}
			if agent != "" && agent != string(c.Agent) {
				continue
			}
			out, err := h.certificate(standing, c)
			if err != nil {
				return err
			}
			if want == "" || want == out.State {
				list = append(list, out)
			}
		}
		return nil
	})
	return list, err
}

func (h *Handler) showCertificate(r *http.Request) (any, error) {
	serial, err := agents.ParseCredentialID(r.PathValue("serial"))
	if err != nil {
		return nil, err
	}
	var out api.Certificate
	err = h.view(r, func(tx storage.Tx) error {
		c, err := ca.Get(tx, serial)
		if err != nil {
			return err
		}
		out, err = h.certificate(agents.NewStanding(tx, h.Clock.Now()), c)
		return err
	})
	return out, err
}

func (h *Handler) revokeCertificate(r *http.Request) (any, error) {
	serial, err := agents.ParseCredentialID(r.PathValue("serial"))
	if err != nil {
		return nil, err
	}
	why, err := readReason(r, agents.Unspecified)
	if err != nil {
		return nil, err
	}
	c, err := h.CA.Revoke(storage.Urgent(r.Context()), h.request(r, "", ""), serial, why)
	if err != nil {
		return nil, err
	}
	return h.receipt(r.Context(), []holding{{c.Credential, false}}), nil
}

func (h *Handler) listTokens(r *http.Request) (any, error) {
	agent := r.URL.Query().Get("agent")
	list := []api.Token{}
	err := h.view(r, func(tx storage.Tx) error {
		standing := agents.NewStanding(tx, h.Clock.Now())
		for t, err := range tokens.Since(tx, h.Clock.Now().Add(-past)) {
			if err != nil {
				return err
			}
			if agent != "" && agent != string(t.Agent) {
				continue
			}
			st, cutoff, err := state(standing, t.Credential, h.Clock.Now())
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
	if t.Bound != nil {
		out.Bound = t.Bound.Certificate.ID.String()
	}
	if state == "revoked" {
		out.RevokedAt, out.Reason = cutoff.Date(), cutoff.Reason.String()
	}
	return out
}

func (h *Handler) revokeToken(r *http.Request) (any, error) {
	jti, err := agents.ParseCredentialID(r.PathValue("jti"))
	if err != nil {
		return nil, err
	}
	why, err := readReason(r, agents.Unspecified)
	if err != nil {
		return nil, err
	}
	t, err := h.Tokens.Revoke(storage.Urgent(r.Context()), h.request(r, "", ""), jti, "", why)
	if err != nil {
		return nil, err
	}
	rc := count([]holding{{t.Credential, true}}, h.Clock.Now()) // no CRL lists tokens
	return rc, nil
}

func (h *Handler) introspect(r *http.Request) (any, error) {
	var in struct {
		Token string `json:"token"`
	}
	if err := read(r, &in); err != nil {
		return nil, err
	}
	var out tokens.Introspection
	err := h.view(r, func(tx storage.Tx) (err error) {
		out, err = h.Tokens.Introspect(tx, in.Token, h.Clock.Now())
		return err
	})
	return out, err
}
