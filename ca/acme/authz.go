package acme

import (
	"slices"
	"strconv"
	"time"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// statusExpired is computed, not stored, for an authorization that was valid.
const statusExpired = "expired"

// An authzDocument is an authorization as clients see it.
type authzDocument struct {
	Identifier identifier           `json:"identifier"`
	Status     string               `json:"status"`
	Expires    time.Time            `json:"expires"`
	Challenges []*challengeDocument `json:"challenges"`
	Wildcard   bool                 `json:"wildcard,omitempty"`
}

// findAuthz returns the order and the number of the authorization in it that
// the request's path names.
func (s *Service) findAuthz(tx storage.Tx, r *request) (*order, int, error) {
	o, err := s.findOrder(tx, r)
	if err != nil {
		return nil, 0, err
	}
	n, err := strconv.Atoi(r.http.PathValue("n"))
	if err != nil || n < 0 || n >= len(o.Authz) || strconv.Itoa(n) != r.http.PathValue("n") {
		p := newProblem("malformed", "the order has no such authorization")
		p.Status = 404
		return nil, 0, p
	}
	return o, n, nil
}

// serveAuthz shows an authorization, or deactivates it (RFC 8555, sections 7.5
// and 7.5.2).
func (s *Service) serveAuthz(r *request) (*answer, error) {
	if len(r.payload) > 0 {
		return s.deactivateAuthz(r)
	}
	var o *order
	var n int
	err := s.DB.View(r.ctx, func(tx storage.Tx) (err error) {
		o, n, err = s.findAuthz(tx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.revive(o)
	return s.showAuthz(r, o, n), nil
}

func (s *Service) showAuthz(r *request, o *order, n int) *answer {
	az := o.Authz[n]
	d := &authzDocument{Identifier: az.identifier, Status: az.Status, Expires: o.ID.Expires(), Wildcard: az.Wildcard, Challenges: []*challengeDocument{}}
	if !r.now.Before(d.Expires) { // section 7.1.6
		switch az.Status {
		case statusPending:
			d.Status = statusInvalid
		case statusValid:
			d.Status = statusExpired
		}
	}
	for _, c := range az.Challenges {
		// Omit the challenges that were not tried (section 7.1.4).
		if az.Status == statusPending || c.Status == az.Status {
			d.Challenges = append(d.Challenges, s.challengeDocument(o, n, c))
		}
	}
	a := &answer{body: d}
	if slices.ContainsFunc(az.Challenges, func(c challenge) bool { return c.Status == statusProcessing }) {
		a.retryAfter = pollInterval
	}
	return a
}

func (s *Service) deactivateAuthz(r *request) (*answer, error) {
	var status string
	if err := r.read(map[string]any{"status": &status}); err != nil {
		return nil, err
	}
	if status != statusDeactivated {
		return nil, newProblem("malformed", "an authorization's status can only be set to deactivated")
	}
	var o *order
	var n int
	err := s.Policy.Do(r.ctx, s.query(r, audit.ACMEAuthorizationDeactivate), policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		var err error
		if o, n, err = s.findAuthz(tx, r); err != nil {
			return policy.Done{}, err
		}
		if st := o.Authz[n].Status; st != statusPending && st != statusValid {
			return policy.Done{}, newProblem("malformed", "the authorization is %s already", st)
		}
		o.Authz[n].Status = statusDeactivated
		name := []string{o.Authz[n].name()}
		return policy.Done{Reasons: name, Details: &audit.Details{Names: name}}, o.put(tx)
	}})
	if err != nil {
		return nil, err
	}
	return s.showAuthz(r, o, n), nil
}
