package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

func (s *Service) agentOperations() []Operation {
	return []Operation{
		operation(s, audit.AgentAdd, api.AddAgent, s.addAgent),
		operation(s, policy.Read, api.ListAgents, s.listAgents),
		operation(s, policy.Read, api.ShowAgent, s.showAgent),
		operation(s, audit.AgentSet, api.SetAgent, s.setAgent),
		operation(s, audit.AgentSuspend, api.Suspend, s.suspend),
		operation(s, audit.AgentResume, api.Resume, s.resume),
		operation(s, audit.AgentDecommission, api.Decommission, s.decommission),
		operation(s, audit.AgentReenroll, api.Reenroll, s.reenroll),
	}
}

func (s *Service) addAgent(ctx context.Context, p policy.Principal, in api.AddRequest) (api.Invited, error) {
	name, err := agents.ParseName(in.Name)
	if err != nil {
		return api.Invited{}, err
	}
	change := agents.Change(in.Change)
	var cleared components.Clearance
	return s.invite(ctx, p, name, act{
		action: audit.AgentAdd, reasons: change.Reasons(),
		prepare: func(ctx context.Context) (err error) { cleared, err = s.vet(ctx, change); return err },
	}, func(tx storage.Tx, e agents.Enrollment, now time.Time, d *audit.Details) (agents.Agent, error) {
		a, err := agents.Add(tx, s.TrustDomain, name, change, e, now, cleared)
		if err == nil && change.Until != nil {
			a, err = agents.Give(tx, name, change, p.Actor, now)
		}
		if d.Change = changed(change, agents.Agent{}, a); err == nil {
			err = ca.CheckPermitted(tx, a.Identifiers)
		}
		if err != nil {
			return a, err
		}
		return a, policy.MayGrant(tx, p, a)
	})
}

// vet checks what package agents cannot know about a change. It refuses a lifetime that
// no profile allows, because issuance would cut it without a word, and compares
// composite keys with the certificates on record.
func (s *Service) vet(ctx context.Context, in agents.Change) (components.Clearance, error) {
	if longest := s.Authority.CA.Longest(); in.TTL != nil && *in.TTL > longest {
		return components.Clearance{}, fmt.Errorf("%w ttl %s: want %s or less, the longest max_lifetime of the profiles in brevet.yaml", agents.ErrInvalid, clock.FormatDuration(*in.TTL), clock.FormatDuration(longest))
	}
	keys, err := in.KeyComponents()
	if err != nil {
		return components.Clearance{}, err
	}
	return s.Authority.CA.Clear(ctx, s.Clock.Earliest(), keys...)
}

func (s *Service) reenroll(ctx context.Context, p policy.Principal, in api.Named) (api.Invited, error) {
	name, err := agents.ParseName(in.Name)
	if err != nil {
		return api.Invited{}, err
	}
	return s.invite(ctx, p, name, act{action: audit.AgentReenroll}, func(tx storage.Tx, e agents.Enrollment, now time.Time, _ *audit.Details) (agents.Agent, error) {
		a, err := agents.Reenroll(tx, name, e, now)
		if err != nil {
			return a, err
		}
		return a, policy.MayGrant(tx, p, a)
	})
}

// invite runs a change that gives an agent a new enrollment token and ACME key.
func (s *Service) invite(ctx context.Context, p policy.Principal, name agents.Name, what act, change func(storage.Tx, agents.Enrollment, time.Time, *audit.Details) (agents.Agent, error)) (api.Invited, error) {
	e, err := agents.NewEnrollment(s.Clock.Now())
	if err != nil {
		return api.Invited{}, err
	}
	var a agents.Agent
	what.subject = string(name)
	what.change = func(tx storage.Tx, now time.Time, d *audit.Details) (err error) {
		a, err = change(tx, e, now, d)
		return err
	}
	if err := s.do(ctx, p, what); err != nil {
		return api.Invited{}, err
	}
	return api.Invited{
		Agent: s.agent(a, agents.Current{}), Enrollment: api.Enrollment{Token: e.Token.Reveal(), Expires: e.Expires},
		ACME: api.ACMEKey{Directory: s.Authority.Address.Current() + acme.DirectoryPath, KeyID: e.Binding.KeyID, MACKey: e.Binding.MACKey.Reveal()},
	}, nil
}

func (s *Service) setAgent(ctx context.Context, p policy.Principal, in api.SetRequest) (out api.Shown, err error) {
	name, err := agents.ParseName(in.Name)
	if err != nil {
		return out, err
	}
	change := agents.Change(in.Change)
	var cleared components.Clearance
	_, err = s.change(ctx, p, name, act{
		action: audit.AgentSet, reasons: change.Reasons(),
		prepare: func(ctx context.Context) (err error) { cleared, err = s.vet(ctx, change); return err },
	}, func(tx storage.Tx, now time.Time, d *audit.Details) (agents.Agent, error) {
		before, err := agents.Get(tx, name)
		if err != nil && !errors.Is(err, agents.ErrUnknown) {
			return before, err
		}
		a, err := agents.Set(tx, s.TrustDomain, name, change, now, cleared)
		if err == nil && change.Until != nil {
			a, err = agents.Give(tx, name, change, p.Actor, now)
		}
		d.Change = changed(change, before, a)
		if err == nil && (change.DNS != nil || change.IPs != nil) {
			err = ca.CheckPermitted(tx, a.Identifiers)
		}
		if err == nil {
			err = policy.MayGrant(tx, p, a)
		}
		if err == nil && change.RenewGrace != nil {
			err = authority.LengthenFormer(tx, a.RenewGraceOf(s.Authority.File.RenewGrace), now)
		}
		if err != nil {
			return a, err
		}
		out, err = s.shown(tx, a)
		return a, err
	})
	return out, err
}

func (s *Service) resume(ctx context.Context, p policy.Principal, in api.Named) (api.Agent, error) {
	name, err := agents.ParseName(in.Name)
	if err != nil {
		return api.Agent{}, err
	}
	var note string
	a, err := s.change(ctx, p, name, act{action: audit.AgentResume}, func(tx storage.Tx, now time.Time, _ *audit.Details) (agents.Agent, error) {
		before, err := agents.Get(tx, name)
		if note = ""; err == nil && before.State == agents.Active {
			note = fmt.Sprintf("%s was %s already", name, before.State)
		}
		if err == nil {
			err = policy.MayGrant(tx, p, before)
		}
		if err != nil {
			return before, err
		}
		return agents.Resume(tx, name, now)
	})
	a.Note = note
	return a, err
}

// change runs a change of one agent that ends none of its credentials.
func (s *Service) change(ctx context.Context, p policy.Principal, name agents.Name, what act, change func(storage.Tx, time.Time, *audit.Details) (agents.Agent, error)) (api.Agent, error) {
	var a agents.Agent
	var c agents.Current
	what.subject = string(name)
	what.change = func(tx storage.Tx, now time.Time, d *audit.Details) (err error) {
		if a, err = change(tx, now, d); err != nil {
			return err
		}
		c, err = currentOf(tx, name, now)
		return err
	}
	err := s.do(ctx, p, what)
	return s.agent(a, c), err
}
