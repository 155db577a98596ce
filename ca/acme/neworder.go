package acme

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// maxIdentifiers bounds the names of one order: as many as an agent can have.
const maxIdentifiers = 65

// newOrder begins an order (RFC 8555, section 7.4). A name that the registry
// gives the agent outright is authorized from the start, so that stock clients
// need no challenge.
func (s *Service) newOrder(r *request) (*answer, error) {
	var asked []json.RawMessage
	var notBefore, notAfter *time.Time
	var profile, replaces string
	err := r.read(map[string]any{
		"identifiers": &asked, "notBefore": &notBefore, "notAfter": &notAfter, "profile": &profile, "replaces": &replaces,
	})
	if err != nil {
		return nil, err
	}
	now, err := s.Clock.Issuing()
	if err != nil {
		return nil, err
	}
	if notBefore != nil {
		return nil, newProblem("malformed", "notBefore cannot be chosen: certificates begin when they are issued")
	}
	id, err := agents.NewCredentialID(now.Add(orderLifetime))
	if err != nil {
		return nil, err
	}
	o := &order{Account: r.account.ID, Opened: r.account.Since(), ID: id, Profile: profile}
	if notAfter != nil {
		if !notAfter.After(now) {
			return nil, newProblem("malformed", "notAfter lies in the past")
		}
		o.NotAfter = notAfter.UTC()
	}
	if err := s.checkLifetime(r.agent, o, now); err != nil {
		if errors.Is(err, ca.ErrNoIssuer) {
			err = s.refuseOrder(r, asked, profile, err)
		}
		return nil, err
	}
	if o.Authz, err = s.authorize(r, asked, profile); err != nil {
		return nil, err
	}
	if replaces != "" {
		if o.Replaces, err = s.replaceable(r, o, replaces); err != nil {
			return nil, err
		}
	}
	err = s.update(r, func(tx storage.Tx) error {
		if err := s.Policy.Spend(tx, r.account.Agent, now, o.use()); err != nil {
			return err
		}
		return o.put(tx)
	})
	if errors.Is(err, agents.ErrQuota) {
		err = s.refuseOrder(r, asked, profile, err)
	}
	if err != nil {
		return nil, err
	}
	doc := s.document(o, now)
	if o.Replaces != nil {
		doc.Replaces = replaces // RFC 9773, section 5: the server echoes what it accepted
	}
	return &answer{status: 201, location: s.orderURL(o), body: doc}, nil
}

// checkLifetime refuses a profile or an end that the agent cannot have, so that the
// client learns it now and not from a failed order. RFC 8555, section 7.4, does not
// allow a certificate that ends earlier than the order asked.
func (s *Service) checkLifetime(a agents.Agent, o *order, now time.Time) error {
	profile, ttl, ok := s.profile(o.Profile)
	if !ok {
		return newProblem("invalidProfile", "there is no profile %.40q; the directory lists those there are", o.Profile)
	}
	if o.NotAfter.IsZero() {
		return s.CA.CheckLifetime(a, profile, ttl, now)
	}
	issuer, err := s.CA.IssuerOf(profile)
	if err != nil {
		return err
	}
	for who, end := range map[string]time.Time{"the agent": a.Expires, "the authority's issuer": issuer.NotAfter} {
		if !end.IsZero() && o.NotAfter.After(end) {
			return newProblem("malformed", "notAfter lies after the end of %s, at %s", who, end.UTC().Format(time.RFC3339))
		}
	}
	err = s.CA.CheckLifetime(a, profile, o.NotAfter.Sub(now).Truncate(time.Second), now)
	if errors.Is(err, agents.ErrInvalid) {
		return newProblem("malformed", "notAfter: %s", policy.Told(err))
	}
	return err
}

// authorize returns the authorizations that an order needs, or a problem with a
// subproblem for each name that the agent cannot have (RFC 8555, section 6.7.1). The
// refusal is recorded.
func (s *Service) authorize(r *request, asked []json.RawMessage, profile string) ([]authz, error) {
	if len(asked) == 0 || len(asked) > maxIdentifiers {
		return nil, newProblem("malformed", "an order has 1 to %d identifiers", maxIdentifiers)
	}
	var list []authz
	var bad []*problem
	var rejected []string
	for _, raw := range asked {
		var id identifier
		if err := readObject(raw, map[string]any{"type": &id.Type, "value": &id.Value}); err != nil {
			return nil, newProblem("malformed", "an identifier: %v", err)
		}
		az, err := s.authorization(r.agent, id)
		if err != nil {
			p := asProblem(err)
			p.Identifier = &id
			if bad = append(bad, p); p.Type == "rejectedIdentifier" {
				rejected = append(rejected, fmt.Sprintf("%.100s", id.Value))
			}
			continue
		}
		// Clients that merge lists of names send one twice (lego, acme.sh, dehydrated).
		if !slices.ContainsFunc(list, func(a authz) bool { return a.identifier == az.identifier && a.Wildcard == az.Wildcard }) {
			list = append(list, az)
		}
	}
	if len(bad) == 0 {
		return list, nil
	}
	if len(rejected) > 0 {
		reason := fmt.Errorf("%w: %s", policy.ErrName, strings.Join(rejected, ", "))
		s.refuseOrder(r, asked, profile, reason)
	}
	return nil, refuseNames(bad)
}

// refuseOrder records the refusal with what was asked for, and returns reason.
func (s *Service) refuseOrder(r *request, asked []json.RawMessage, profile string, reason error) error {
	q := s.query(r, audit.ACMEOrder)
	q.Details.Profile = profile
	for _, raw := range asked[:min(len(asked), maxIdentifiers)] {
		var id identifier
		if readObject(raw, map[string]any{"type": &id.Type, "value": &id.Value}) == nil {
			q.Details.Names = append(q.Details.Names, id.Value)
		}
	}
	return s.Policy.Refuse(r.ctx, q, reason)
}

// refuseNames makes one problem of several.
func refuseNames(bad []*problem) *problem {
	kind, detail := bad[0].Type, bad[0].Detail
	if len(bad) > 1 {
		detail = "some identifiers cannot be in an order of this account"
	}
	for _, b := range bad {
		if b.Type != kind {
			kind = "compound"
		}
	}
	p := newProblem(kind, "%s", detail)
	p.Sub = bad
	return p
}

// authorization says whether the agent has the name, must prove it, or cannot have it.
func (s *Service) authorization(a agents.Agent, asked identifier) (authz, error) {
	id, err := parseIdentifier(asked)
	if err != nil {
		return authz{}, err
	}
	az := authz{identifier: identifier{id.Type, id.Value}, Status: statusValid}
	az.Value, az.Wildcard = strings.CutPrefix(az.Value, "*.")
	wanted := []agents.Identifier{id}
	switch {
	case id.Type == "dns" && id.Value == s.TrustDomain.Host(a.Name):
	case policy.Names(a, wanted, nil) == nil:
	case policy.Names(a, wanted, wanted) == nil:
		az.Status, az.Challenges = statusPending, newChallenges(az.identifier, az.Wildcard)
	default:
		return az, newProblem("rejectedIdentifier", "%.100q is not registered for this agent; an operator adds it with brevet agent set", id.Value)
	}
	return az, nil
}

// parseIdentifier reads a name as a client sent it.
func parseIdentifier(asked identifier) (agents.Identifier, error) {
	if asked.Type != "dns" && asked.Type != "ip" {
		return agents.Identifier{}, newProblem("unsupportedIdentifier", "identifiers of type %.40q are not supported: use dns or ip", asked.Type)
	}
	return agents.ParseIdentifier(asked.Type, asked.Value)
}
