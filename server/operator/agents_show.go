package operator

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

func (s *Service) showAgent(ctx context.Context, _ policy.Principal, in api.Named) (out api.Shown, err error) {
	name, err := agents.ParseName(in.Name)
	if err != nil {
		return out, err
	}
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		a, err := agents.Get(tx, name)
		if err != nil {
			return err
		}
		out, err = s.shown(tx, a)
		return err
	})
	return out, err
}

// shown returns all that operators see of an agent.
func (s *Service) shown(tx storage.Tx, a agents.Agent) (out api.Shown, err error) {
	c, err := currentOf(tx, a.Name, s.Clock.Now())
	if err != nil {
		return out, err
	}
	list, err := s.accounts(tx, s.Clock.Now(), func(holder agents.Agent, _ time.Time) bool { return holder.Name == a.Name })
	out = api.Shown{Agent: s.agent(a, c), KeyThumbprints: thumbprints(a), ACMEAccounts: len(list), ACMEKeys: s.acmeKeys(a, list)}
	if err != nil {
		return out, err
	}
	if out.RegisteredKeys, out.KeysEnd, err = s.registeredKeys(tx, a); err != nil {
		return out, err
	}
	if out.LastSeen, err = s.lastSeen(tx, a, c); err != nil {
		return out, err
	}
	if out.Held, out.RolesRemoved, err = heldNow(tx, a, s.Clock.Now()); err != nil {
		return out, err
	}
	out.Usage, err = s.usage(tx, a)
	return out, err
}

// currentOf returns the agent's latest certificate, or the zero Current if it
// never had one. If the certificate is dead, its key is left out.
func currentOf(tx storage.Tx, n agents.Name, now time.Time) (agents.Current, error) {
	c, err := agents.GetCurrent(tx, n)
	if errors.Is(err, storage.ErrNotFound) {
		return agents.Current{}, nil
	}
	if err != nil {
		return c, err
	}
	if _, err := agents.NewStanding(tx, now).Check(c.Credential); err != nil {
		c.Key = nil
	}
	return c, nil
}

// agent returns a as operators see it.
func (s *Service) agent(a agents.Agent, c agents.Current) api.Agent {
	out := api.Agent{
		Name: string(a.Name), ID: s.TrustDomain.ID(a.Name), State: string(a.State), Owner: a.Owner, Purpose: a.Purpose,
		Labels: maps.Clone(a.Labels), Audiences: a.Audiences, Keys: len(a.Keys), Expires: a.Expires, Quotas: maps.Clone(a.Quotas), Created: a.Created, Changed: a.Changed,
	}
	out.Scopes, out.Roles, out.Grants = texts(a.Scopes), texts(a.Roles), shownGrants(a)
	for _, i := range a.Identifiers {
		if i.Type == "dns" {
			out.DNS = append(out.DNS, i.String())
		} else {
			out.IPs = append(out.IPs, i.String())
		}
	}
	if a.TTL > 0 {
		out.TTL = clock.FormatDuration(a.TTL)
	}
	out.RenewGrace, out.KeyMaxAge = renewGrace(a), keyMaxAge(a)
	out.Certified = c.Credential.IssuedAt
	if c.Key != nil {
		out.Certificate, out.CertExpires = c.Credential.ID.String(), c.Credential.ID.Expires()
	}
	return out
}
