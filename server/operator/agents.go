package operator

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

func (s *Service) agentOperations() []Operation {
	return []Operation{
		operation(api.AddAgent, s.addAgent),
		operation(api.ListAgents, s.listAgents),
		operation(api.ShowAgent, s.showAgent),
		operation(api.SetAgent, s.setAgent),
		operation(api.Suspend, s.suspend),
		operation(api.Resume, s.resume),
		operation(api.Decommission, s.decommission),
		operation(api.Reenroll, s.reenroll),
	}
}

func (s *Service) addAgent(ctx context.Context, p Principal, in api.AddRequest) (api.Invited, error) {
	name, err := agents.ParseName(in.Name)
	if err != nil {
		return api.Invited{}, err
	}
	change := agents.Change(in.Change)
	apart, err := s.apart(ctx, p, "agent.add", name, change)
	if err != nil {
		return api.Invited{}, err
	}
	return s.invite(ctx, p, "agent.add", name, func(tx storage.Tx, e agents.Enrollment, now time.Time) (agents.Agent, error) {
		if err := apart(tx); err != nil {
			return agents.Agent{}, err
		}
		return agents.Add(tx, s.TrustDomain, name, change, e, now)
	}, change.Reasons()...)
}

// apart returns what says, in the transaction of a change, whether halves of its
// composite keys are certified alone. A refusal is recorded.
func (s *Service) apart(ctx context.Context, p Principal, action string, name agents.Name, in agents.Change) (func(storage.Tx) error, error) {
	var all agents.Components
	for _, text := range in.Keys {
		k, err := agents.ParsePublicKey([]byte(text))
		if err != nil {
			break // which the change will say, and record
		}
		c, err := k.Components()
		if err != nil {
			return nil, err
		}
		all.Halves = append(all.Halves, c.Halves...)
	}
	now := s.Clock.Now()
	check, err := s.CA.Apart(ctx, all, now)
	if err != nil && policy.IsDenial(err) {
		err = policy.Deny(ctx, s.DB, now, request(ctx, p, action, string(name)), err)
	}
	return check, err
}

func (s *Service) reenroll(ctx context.Context, p Principal, in api.Named) (api.Invited, error) {
	name, err := agents.ParseName(in.Name)
	if err != nil {
		return api.Invited{}, err
	}
	return s.invite(ctx, p, "agent.reenroll", name, func(tx storage.Tx, e agents.Enrollment, now time.Time) (agents.Agent, error) {
		return agents.Reenroll(tx, name, e, now)
	})
}

// invite runs a change that gives an agent a new enrollment token and ACME key.
func (s *Service) invite(ctx context.Context, p Principal, action string, name agents.Name, change func(storage.Tx, agents.Enrollment, time.Time) (agents.Agent, error), reasons ...string) (api.Invited, error) {
	e, err := agents.NewEnrollment(s.Clock.Now())
	if err != nil {
		return api.Invited{}, err
	}
	var a agents.Agent
	err = s.do(ctx, p, action, string(name), func(tx storage.Tx, now time.Time) (err error) {
		a, err = change(tx, e, now)
		return err
	}, reasons...)
	if err != nil {
		return api.Invited{}, err
	}
	return api.Invited{
		Agent: s.agent(a, agents.Current{}), Enrollment: api.Enrollment{Token: e.Token.Reveal(), Expires: e.Expires},
		ACME: api.ACMEKey{Directory: s.Directory, KeyID: e.Binding.KeyID, MACKey: e.Binding.MACKey.Reveal()},
	}, nil
}

func (s *Service) setAgent(ctx context.Context, p Principal, in api.SetRequest) (api.Agent, error) {
	name, err := agents.ParseName(in.Name)
	if err != nil {
		return api.Agent{}, err
	}
	change := agents.Change(in.Change)
	apart, err := s.apart(ctx, p, "agent.set", name, change)
	if err != nil {
		return api.Agent{}, err
	}
	return s.change(ctx, p, "agent.set", name, func(tx storage.Tx, now time.Time) (agents.Agent, error) {
		if err := apart(tx); err != nil {
			return agents.Agent{}, err
		}
		return agents.Set(tx, s.TrustDomain, name, change, now)
	}, change.Reasons()...)
}

func (s *Service) resume(ctx context.Context, p Principal, in api.Named) (api.Agent, error) {
	name, err := agents.ParseName(in.Name)
	if err != nil {
		return api.Agent{}, err
	}
	return s.change(ctx, p, "agent.resume", name, func(tx storage.Tx, now time.Time) (agents.Agent, error) {
		return agents.Resume(tx, name, now)
	})
}

// change runs a change of one agent that ends nothing it holds.
func (s *Service) change(ctx context.Context, p Principal, action string, name agents.Name, change func(storage.Tx, time.Time) (agents.Agent, error), reasons ...string) (api.Agent, error) {
	var a agents.Agent
	var c agents.Current
	err := s.do(ctx, p, action, string(name), func(tx storage.Tx, now time.Time) (err error) {
		if a, err = change(tx, now); err != nil {
			return err
		}
		c, err = currentOf(tx, name, now)
		return err
	}, reasons...)
	return s.agent(a, c), err
}

func (s *Service) showAgent(ctx context.Context, _ Principal, in api.Named) (out api.Shown, err error) {
	name, err := agents.ParseName(in.Name)
	if err != nil {
		return out, err
	}
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		a, err := agents.Get(tx, name)
		if err != nil {
			return err
		}
		c, err := currentOf(tx, name, s.Clock.Now())
		if err != nil {
			return err
		}
		list, err := accounts(tx, s.Clock.Now(), func(holder agents.Agent, _ time.Time) bool { return holder.Name == name })
		out = api.Shown{Agent: s.agent(a, c), ACMEAccounts: len(list)}
		return err
	})
	return out, err
}

// currentOf returns the agent's latest certificate, or the zero Current if it
// never had one. Of one that is dead, only the issuance is told.
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

// agent returns what operators see of a.
func (s *Service) agent(a agents.Agent, c agents.Current) api.Agent {
	out := api.Agent{
		Name: string(a.Name), ID: s.TrustDomain.ID(a.Name), State: string(a.State), Owner: a.Owner, Purpose: a.Purpose,
		Labels: maps.Clone(a.Labels), Audiences: a.Audiences, Keys: len(a.Keys), Expires: a.Expires, Created: a.Created, Changed: a.Changed,
	}
	for _, scope := range a.Scopes {
		out.Scopes = append(out.Scopes, string(scope))
	}
	for _, i := range a.Identifiers {
		if i.Type == "dns" {
			out.DNS = append(out.DNS, i.String())
		} else {
			out.IPs = append(out.IPs, i.String())
		}
	}
	if a.TTL > 0 {
		out.TTL = a.TTL.String()
	}
	out.Certified = c.Credential.IssuedAt
	if c.Key != nil {
		out.Certificate, out.CertExpires = c.Credential.ID.String(), c.Credential.ID.Expires()
	}
	return out
}
