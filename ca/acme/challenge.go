package acme

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/smallstep/certificates/acme"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// newChallenges returns the challenges for an identifier: for a wildcard only dns-01
// (RFC 8555, section 7.1.3), for an address anything but dns-01 (RFC 8738, section 7).
func newChallenges(id identifier, wildcard bool) []challenge {
	kinds := []acme.ChallengeType{acme.HTTP01, acme.DNS01, acme.TLSALPN01}
	switch {
	case wildcard:
		kinds = []acme.ChallengeType{acme.DNS01}
	case id.Type == "ip":
		kinds = []acme.ChallengeType{acme.HTTP01, acme.TLSALPN01}
	}
	list := make([]challenge, len(kinds))
	for i, kind := range kinds {
		var token [32]byte // section 8.1 wants 128 bits at least
		rand.Read(token[:])
		list[i] = challenge{Type: string(kind), Token: strict.ToBase64(token[:]), Status: statusPending}
	}
	return list
}

// A challengeDocument is a challenge as clients see it (RFC 8555, section 8).
type challengeDocument struct {
	Type      string    `json:"type"`
	URL       string    `json:"url"`
	Status    string    `json:"status"`
	Token     string    `json:"token"`
	Validated time.Time `json:"validated,omitzero"`
	Error     *problem  `json:"error,omitempty"`
}

// challengeDocument shows a challenge of the nth authorization. While the challenge is
// processing, the document has the error of the last attempt (section 8.2).
func (s *Service) challengeDocument(o *order, n int, c challenge) *challengeDocument {
	d := &challengeDocument{
		Type: c.Type, Status: c.Status, Token: c.Token, Validated: c.Validated, Error: c.Error,
		URL: s.url("challenge", o.Account, o.ID.String(), fmt.Sprint(n), c.Type),
	}
	if c.Status == statusProcessing {
		d.Error = s.validator.failure(task{o.Account, o.ID, n, c.Type})
	}
	return d
}

// challenge returns the nth authorization's challenge of this type, or nil.
func (o *order) challenge(n int, kind string) *challenge {
	if n >= len(o.Authz) {
		return nil
	}
	list := o.Authz[n].Challenges
	i := slices.IndexFunc(list, func(c challenge) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// findChallenge returns the order, the number of the authorization in it, and
// the challenge there that the request's path names.
func (s *Service) findChallenge(tx storage.Tx, r *request) (*order, int, *challenge, error) {
	o, n, err := s.findAuthz(tx, r)
	if err != nil {
		return nil, 0, nil, err
	}
	c := o.challenge(n, r.http.PathValue("type"))
	if c == nil {
		p := newProblem("malformed", "the authorization has no such challenge")
		p.Status = 404
		return nil, 0, nil, p
	}
	return o, n, c, nil
}

// serveChallenge shows a challenge or starts its validation (RFC 8555, section 7.5.1).
// The answer does not wait for the result.
func (s *Service) serveChallenge(r *request) (*answer, error) {
	if len(r.payload) > 0 {
		if err := r.read(nil); err != nil {
			return nil, err
		}
	}
	var o *order
	var n int
	var c *challenge
	err := s.DB.View(r.ctx, func(tx storage.Tx) (err error) {
		o, n, c, err = s.findChallenge(tx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(r.payload) > 0 && c.Status == statusPending {
		if o, c, err = s.begin(r, task{o.Account, o.ID, n, c.Type}); err != nil {
			return nil, err
		}
	}
	s.revive(o)
	a := &answer{body: s.challengeDocument(o, n, *c), links: []string{"<" + s.authzURL(o, n) + `>;rel="up"`}}
	if c.Status == statusProcessing {
		a.retryAfter = pollInterval
	}
	return a, nil
}

// begin marks a pending challenge as processing and starts its validation once that is
// durable. A challenge that is no longer pending stays as it is.
func (s *Service) begin(r *request, t task) (o *order, c *challenge, err error) {
	reserved, err := s.validator.reserve(t)
	if err != nil {
		return nil, nil, err
	}
	var begun bool
	err = s.update(r, func(tx storage.Tx) (err error) {
		begun = false
		if o, _, c, err = s.findChallenge(tx, r); err != nil || c.Status != statusPending || !reserved {
			return err
		}
		if err := o.provable(t.authz, s.Clock.Now()); err != nil {
			return err
		}
		c.Status, begun = statusProcessing, true
		return o.put(tx)
	})
	switch {
	case err == nil && begun:
		s.validator.start(t, func(ctx context.Context) {
			s.validate(audit.WithSource(ctx, audit.SourceOf(r.ctx)), t)
		})
	case reserved:
		s.validator.release(t)
	}
	return o, c, err
}

// provable returns nil if a challenge can still change the authorization.
func (o *order) provable(n int, now time.Time) error {
	if !now.Before(o.ID.Expires()) {
		return newProblem("malformed", "the authorization has expired")
	}
	if status := o.Authz[n].Status; status != statusPending {
		return newProblem("malformed", "the authorization is %s already", status)
	}
	return nil
}

// revive restarts validations of an order that a crash or a full disk ended. Those for
// which there is no room wait until the client polls again.
func (s *Service) revive(o *order) {
	for n, a := range o.Authz {
		for _, c := range a.Challenges {
			if c.Status != statusProcessing || o.provable(n, s.Clock.Now()) != nil {
				continue
			}
			t := task{o.Account, o.ID, n, c.Type}
			if reserved, err := s.validator.reserve(t); reserved && err == nil {
				s.validator.start(t, func(ctx context.Context) { s.validate(ctx, t) })
			}
		}
	}
}
