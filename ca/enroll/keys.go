package enroll

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// errOtherNext says that the request is for another key than the one that was signed for.
var errOtherNext = fmt.Errorf("%w certificate request: the client assertion names another key as the next one", agents.ErrInvalid)

// ServeKeys registers a key for an agent in the place of the one that signed the assertion.
// Both keys sign: the old one an assertion that names the new one, and the new one a
// certificate request. One transaction records the new key and ends the old one.
func (s *Service) ServeKeys(w http.ResponseWriter, r *http.Request) {
	next, err := s.replaceKey(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	writeJSON(w, next)
}

func (s *Service) replaceKey(w http.ResponseWriter, r *http.Request) (out registered, err error) {
	if err := s.Clock.Check(); err != nil {
		return out, err
	}
	var assertion, request string
	if err := ReadJSON(w, r, map[string]any{"client_assertion": &assertion, "csr": &request}); err != nil {
		return out, err
	}
	var claim policy.Claim
	var wants agents.NextKey
	err = s.DB.View(r.Context(), func(tx storage.Tx) (err error) {
		if claim, wants, err = s.NextKey(tx, assertion, s.Clock.Now()); err != nil {
			return err
		}
		return admission.Prove(r.Context(), wants.Agent)
	})
	q := policy.Query{Principal: asserter, Action: audit.AgentKeyReplace, Subject: string(wants.Agent), Time: s.Clock.Now()}
	if err != nil {
		return out, &assertionError{s.Policy.Refuse(r.Context(), q, err)}
	}
	q.Claim, q.Principal, q.KeyThumbprint = claim, claim.Principal(), fmt.Sprintf("%x", wants.SHA256)
	csr, err := ca.ParseCSRPEM([]byte(request))
	if err == nil && sha256.Sum256(csr.PublicKey) != wants.SHA256 {
		err = errOtherNext
	}
	if err != nil {
		return out, s.Policy.Refuse(r.Context(), q, err)
	}
	if out, err = s.recordKey(r.Context(), q, wants, csr); err != nil {
		return out, &assertionError{err}
	}
	return out, nil
}

// recordKey registers the new key, if the old one is still registered.
func (s *Service) recordKey(ctx context.Context, q policy.Query, wants agents.NextKey, csr *ca.CSR) (out registered, err error) {
	var cleared components.Clearance
	err = s.Policy.Do(ctx, q, policy.Act{
		Prepare: func(ctx context.Context, _ *policy.Decision) error {
			k, err := components.Of(csr.PublicKey)
			if err == nil {
				cleared, err = s.CA.Clear(ctx, s.Clock.Earliest(), k)
			}
			return err
		},
		Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
			before, after, err := agents.ReplaceKey(tx, wants.Agent, wants.Old, csr.PublicKey, q.Time, cleared)
			if err != nil {
				return policy.Done{}, err
			}
			since, err := agents.KeySince(tx, after, csr.PublicKey)
			out = registered{fmt.Sprintf("%x", wants.SHA256), since, after.KeyEnd(since, s.KeyMaxAge)}
			change := audit.FieldChange{Field: "keys", From: before.KeyThumbprints(), To: after.KeyThumbprints()}
			return policy.Done{Details: &audit.Details{Change: []audit.FieldChange{change}}}, err
		},
	})
	return out, err
}
