package passkeys

import (
	"context"
	"fmt"
	"net/http"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/persons/passkey"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/enroll"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// site returns the site of the passkeys.
func (s *Service) site() (passkey.Site, error) {
	site, err := passkey.SiteOf(s.Advertised())
	if err != nil {
		err = fmt.Errorf("%w passkey: %w", agents.ErrInvalid, err)
	}
	return site, err
}

// ServeRegister records the passkey that the browser made. Any flaw of the request leaves
// the link as it was. The body is application/json, which a page of another origin cannot
// send without asking first (Fetch standard, "CORS-safelisted request-header").
func (s *Service) ServeRegister(w http.ResponseWriter, r *http.Request) {
	p, err := s.register(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	answer(w, map[string]any{"operator": p.Name, "passkeys": len(p.Passkeys)})
}

// registrant is who registers, before the link has shown whose it is.
var registrant = policy.Bearer("link for a passkey")

func (s *Service) register(w http.ResponseWriter, r *http.Request) (p persons.Person, err error) {
	var token, client, attestation string
	err = enroll.ReadJSON(w, r, map[string]any{"token": &token, "client_data": &client, "attestation": &attestation})
	if err != nil {
		return p, err
	}
	l, err := persons.ParseLink(token)
	if err != nil {
		return p, err
	}
	var key passkey.Key
	now := s.Clock.Now()
	claim := policy.NewClaim(registrant, "", audit.PasskeyLink, func(tx storage.Tx, _ *agents.Standing) error {
		_, err := persons.Linked(tx, l, now)
		return err
	})
	q := policy.Query{Principal: registrant, Action: audit.OperatorPasskey, Claim: claim, Time: now}
	return p, s.Policy.Do(r.Context(), q, policy.Act{
		Ask: func(tx storage.Tx, q *policy.Query) error {
			linked, err := persons.Linked(tx, l, now)
			if linked.Name != "" {
				q.Subject = string(agents.OperatorName(string(linked.Name)))
			}
			return err
		},
		Prepare: func(context.Context, *policy.Decision) (err error) {
			key, err = s.made(l, client, attestation)
			return err
		},
		Change: func(tx storage.Tx, _ *policy.Decision) (_ policy.Done, err error) {
			p, err = persons.Register(tx, l, key, now)
			return policy.Done{Details: &audit.Details{To: strict.ToBase64(key.ID)}}, err
		},
	})
}

// made returns the key that a browser made for a link.
func (s *Service) made(l persons.Link, client, attestation string) (k passkey.Key, err error) {
	site, err := s.site()
	if err != nil {
		return k, err
	}
	said, err := strict.Base64(client)
	if err != nil {
		return k, fmt.Errorf("%w client_data: %w", agents.ErrInvalid, err)
	}
	object, err := strict.Base64(attestation)
	if err != nil {
		return k, fmt.Errorf("%w attestation: %w", agents.ErrInvalid, err)
	}
	if k, err = site.Register(challenge(l), passkey.Registration{ClientData: said, Attestation: object}); err != nil {
		err = fmt.Errorf("%w request: %w", agents.ErrInvalid, err)
	}
	return k, err
}
