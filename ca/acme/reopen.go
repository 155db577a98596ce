package acme

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Clients keep their account key when the account ends, for example with a suspension of
// the agent, and come back with it. So a new external account binding key of the same
// agent, which the operator gets by brevet agent reenroll, opens the account again,
// under the URL that the client has stored. Nothing else comes back with it: orders from
// before stay dead. If the account ended because a key was compromised, or if its client
// deactivated it, the client must make a new key.

var errCompromised = agents.NewRefusal("account_key_compromised", policy.ErrDenied.Error()+": the account key may be compromised", policy.ErrDenied)

// comeBack answers newAccount for a key that has an account, with a binding.
func (s *Service) comeBack(r *request, a *account, dead error, contact []string, raw json.RawMessage) (*answer, error) {
	b, err := s.parseBinding(r, raw)
	switch {
	case dead == nil && (err != nil || b.refused != nil):
		return s.showAccount(a), nil // lego sends its old binding, or nonsense, each time
	case err != nil:
		return nil, err
	case b.refused != nil:
		return nil, unbound(s.Policy.Refuse(r.ctx, b.query(r), b.refused))
	case b.agent != a.Agent: // which the client may learn: it knows the MAC key
		return nil, s.refuseStranger(r, a, b)
	case dead == nil:
		return s.showAccount(a), nil
	}
	if err := checkContact(contact); err != nil {
		return nil, err
	}
	return s.reopen(r, a, b, contact, raw)
}

// refuseStranger refuses an account's key with a binding of another agent: the client
// would act for an agent that is not the one it was set up for.
func (s *Service) refuseStranger(r *request, a *account, b *binding) error {
	reason := fmt.Errorf("%w: the account key is that of an account of agent %s", policy.ErrDenied, a.Agent)
	if err := s.Policy.Refuse(r.ctx, b.query(r), reason); !errors.Is(err, policy.ErrDenied) {
		return err
	}
	return newAccountKey("this account key belongs to an account of another agent, and accounts never change their agent")
}

// newAccountKey refuses an account's key for good, and says what the client can do.
func newAccountKey(why string) *problem {
	p := newProblem("unauthorized", "%s; let the client register with a new account key: delete its account for this server, or use another directory for its configuration", why)
	p.Status = http.StatusUnauthorized
	return p
}

// reopen makes the account usable again, in the transaction that consumes the binding.
func (s *Service) reopen(r *request, a *account, b *binding, contact []string, raw json.RawMessage) (*answer, error) {
	now, err := s.Clock.Issuing()
	if err != nil {
		return nil, err
	}
	q := b.query(r)
	b.use(&q, now)
	var opened account
	err = s.Policy.Do(r.ctx, q, policy.Act{Change: func(tx storage.Tx, d *policy.Decision) (policy.Done, error) {
		current, err := byThumbprint(tx, r.key)
		if err != nil {
			return policy.Done{}, err
		}
		if err := current.reopenable(tx, b.agent, now); err != nil {
			return policy.Done{}, err
		}
		opened = *current
		opened.Status, opened.Reopened = statusValid, now
		if contact != nil {
			opened.Contact = contact
		}
		if _, err := s.standing(&opened, d.Standing()); err != nil {
			return policy.Done{}, err
		}
		return policy.Done{Reasons: []string{"acme account " + a.ID + " opened again"}}, opened.put(tx)
	}})
	switch {
	case errors.Is(err, errCompromised):
		return nil, newAccountKey("the account ended because a key of its agent may be compromised")
	case errors.Is(err, agents.ErrKeyTooOld):
		return nil, newAccountKey("the account key is older than the authority allows")
	case errors.Is(err, errDeactivated):
		return nil, newAccountKey("the client deactivated this account")
	case err != nil:
		return nil, unbound(err)
	}
	answer := s.showAccount(&opened)
	// 201, as for a new account: clients take 200 for an account that needs no binding
	// (section 7.3.1), and uacme for a failure.
	answer.status, answer.body.(*accountDocument).Binding = http.StatusCreated, raw
	return answer, nil
}

var errDeactivated = agents.NewRefusal("account_deactivated", policy.ErrDenied.Error()+": the client deactivated the account", policy.ErrDenied)

// reopenable returns nil if a fresh binding of the agent n may open the account again.
func (a *account) reopenable(tx storage.Tx, n agents.Name, now time.Time) error {
	switch {
	case a.Agent != n:
		return fmt.Errorf("%w: the account key is that of an account of agent %s", policy.ErrDenied, a.Agent)
	case a.Status == statusDeactivated:
		return fmt.Errorf("%w: %s", errDeactivated, a.ID)
	case a.Compromised:
		return fmt.Errorf("%w: account %s was revoked for it", errCompromised, a.ID)
	}
	return a.uncompromised(agents.NewStanding(tx, now))
}

// use has the transaction that records the decision use up the binding.
func (b *binding) use(q *policy.Query, now time.Time) {
	q.Time = now
	q.Claim = policy.NewClaim(q.Principal, b.agent, audit.Evidence{}, func(tx storage.Tx, _ *agents.Standing) error {
		return agents.Bind(tx, b.kid, now)
	})
}

// query asks whether the binding may open an account.
func (b *binding) query(r *request) policy.Query {
	return policy.Query{Principal: policy.Bearer("external account binding"), Action: audit.ACMEAccountCreate, Subject: string(b.agent), Time: r.now, KeyThumbprint: r.key.hash()}
}
