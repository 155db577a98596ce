package admin

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

func (h *Handler) addAgent(r *http.Request) (any, error) {
	var in api.AddRequest
	if err := read(r, &in); err != nil {
		return nil, err
	}
	name, err := agents.ParseName(in.Name)
	if err != nil {
		return nil, err
	}
	change := agents.Change(in.Change)
	apart, err := h.apart(r, "agent.add", name, change)
	if err != nil {
		return nil, err
	}
	return h.invite(r, "agent.add", name, func(tx storage.Tx, e agents.Enrollment, now time.Time) (agents.Agent, error) {
		if err := apart(tx); err != nil {
			return agents.Agent{}, err
		}
		return agents.Add(tx, h.TrustDomain, name, change, e, now)
	}, change.Reasons()...)
}

// apart returns what says, in the transaction of a change, whether halves of its
// composite keys are certified alone. A refusal is recorded.
func (h *Handler) apart(r *http.Request, action string, name agents.Name, in agents.Change) (func(storage.Tx) error, error) {
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
	now := h.Clock.Now()
	check, err := h.CA.Apart(r.Context(), all, now)
	if err != nil && policy.IsDenial(err) {
		err = policy.Deny(r.Context(), h.DB, now, h.request(r, action, string(name)), err)
	}
	return check, err
}

func (h *Handler) reenroll(r *http.Request) (any, error) {
	name, err := agentName(r)
	if err != nil {
		return nil, err
	}
	return h.invite(r, "agent.reenroll", name, func(tx storage.Tx, e agents.Enrollment, now time.Time) (agents.Agent, error) {
		return agents.Reenroll(tx, name, e, now)
	})
}

// invite runs a change that gives an agent a new enrollment token and ACME key.
func (h *Handler) invite(r *http.Request, action string, name agents.Name, change func(storage.Tx, agents.Enrollment, time.Time) (agents.Agent, error), reasons ...string) (any, error) {
	e, err := agents.NewEnrollment(h.Clock.Now())
	if err != nil {
		return nil, err
	}
	var a agents.Agent
	err = h.do(r, action, string(name), func(tx storage.Tx, now time.Time) (err error) {
		a, err = change(tx, e, now)
		return err
	}, reasons...)
	return api.Invited{
		Agent: h.agent(a, agents.Current{}), Enrollment: api.Enrollment{Token: e.Token.Reveal(), Expires: e.Expires},
		ACME: api.ACMEKey{Directory: h.Directory, KeyID: e.Binding.KeyID, MACKey: e.Binding.MACKey.Reveal()},
	}, err
}

func (h *Handler) setAgent(r *http.Request) (any, error) {
	name, err := agentName(r)
	if err != nil {
		return nil, err
	}
	var body api.Change
	if err := read(r, &body); err != nil {
		return nil, err
	}
	in := agents.Change(body)
	apart, err := h.apart(r, "agent.set", name, in)
	if err != nil {
		return nil, err
	}
	return h.change(r, "agent.set", name, func(tx storage.Tx, now time.Time) (agents.Agent, error) {
		if err := apart(tx); err != nil {
			return agents.Agent{}, err
		}
		return agents.Set(tx, h.TrustDomain, name, in, now)
	}, in.Reasons()...)
}

func (h *Handler) resume(r *http.Request) (any, error) {
	name, err := agentName(r)
	if err != nil {
		return nil, err
	}
	return h.change(r, "agent.resume", name, func(tx storage.Tx, now time.Time) (agents.Agent, error) {
		return agents.Resume(tx, name, now)
	})
}

func (h *Handler) change(r *http.Request, action string, name agents.Name, change func(storage.Tx, time.Time) (agents.Agent, error), reasons ...string) (any, error) {
	var a agents.Agent
	var c agents.Current
	err := h.do(r, action, string(name), func(tx storage.Tx, now time.Time) (err error) {
		if a, err = change(tx, now); err != nil {
			return err
		}
		c, err = currentOf(tx, name, now)
		return err
	}, reasons...)
	return h.agent(a, c), err
}

func (h *Handler) showAgent(r *http.Request) (any, error) {
	name, err := agentName(r)
	if err != nil {
		return nil, err
	}
	var out api.Shown
	err = h.view(r, func(tx storage.Tx) error {
		a, err := agents.Get(tx, name)
		if err != nil {
			return err
		}
		c, err := currentOf(tx, name, h.Clock.Now())
		if err != nil {
			return err
		}
		accounts, err := h.accounts(tx, h.Clock.Now(), func(holder agents.Agent, _ time.Time) bool { return holder.Name == name })
		out = api.Shown{Agent: h.agent(a, c), ACMEAccounts: len(accounts)}
		return err
	})
	return out, err
}

func (h *Handler) listAgents(r *http.Request) (any, error) {
	q := r.URL.Query()
	switch agents.State(q.Get("state")) {
	case "", agents.Active, agents.Suspended, agents.Decommissioned:
	default:
		return nil, fmt.Errorf("%w state %q: want active, suspended or decommissioned", agents.ErrInvalid, q.Get("state"))
	}
	stale := time.Duration(0)
	if text := q.Get("stale"); text != "" {
		var err error
		if stale, err = time.ParseDuration(text); err != nil || stale <= 0 {
			return nil, fmt.Errorf("%w stale %q: want a duration such as 720h", agents.ErrInvalid, text)
		}
	}
	list := []api.Agent{}
	err := h.view(r, func(tx storage.Tx) error {
		for a, err := range agents.All(tx) {
			if err != nil {
				return err
			}
			if !fits(a, q.Get("state"), q.Get("owner"), q["label"]) {
				continue
			}
			c, err := currentOf(tx, a.Name, h.Clock.Now())
			if err != nil {
				return err
			}
			seen := a.Created
			if c.Credential.IssuedAt.After(seen) {
				seen = c.Credential.IssuedAt
			}
			if h.Clock.Now().Sub(seen) >= stale {
				list = append(list, h.agent(a, c))
			}
		}
		return nil
	})
	return list, err
}

// fits reports whether the agent is one of those chosen. The authority itself
// never is.
func fits(a agents.Agent, state, owner string, labels []string) bool {
	if a.Name == agents.Authority || state != "" && state != string(a.State) || owner != "" && owner != a.Owner {
		return false
	}
	return !slices.ContainsFunc(labels, func(label string) bool {
		k, v, _ := strings.Cut(label, "=")
		return a.Labels[k] != v
	})
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
func (h *Handler) agent(a agents.Agent, c agents.Current) api.Agent {
	out := api.Agent{
		Name: string(a.Name), ID: h.TrustDomain.ID(a.Name), State: string(a.State), Owner: a.Owner, Purpose: a.Purpose,
		Labels: maps.Clone(a.Labels), Audiences: a.Audiences, Keys: len(a.Keys), Expires: a.Expires, Created: a.Created, Changed: a.Changed,
	}
	for _, s := range a.Scopes {
		out.Scopes = append(out.Scopes, string(s))
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
