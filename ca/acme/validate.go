package acme

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A claim says what an agent proves with a task.
type claim struct {
	proof
	agent   agents.Name
	name    string // as in a certificate
	account policy.Claim
}

// validate finds out whether the account controls the name of the task, and records the
// result. ctx knows the client's request, if it was one that began this.
func (s *Service) validate(ctx context.Context, t task) {
	var c claim
	err := s.DB.View(ctx, func(tx storage.Tx) (err error) {
		c, err = s.claimed(tx, t)
		return err
	})
	var failed *problem
	if err == nil {
		failed = s.validator.tries(ctx, t, c.proof)
	}
	if ctx.Err() != nil {
		return // the server is stopping; the client will poll again
	}
	if err == nil {
		err = s.settle(context.WithoutCancel(ctx), t, c, failed)
	}
	if err != nil && !errors.Is(err, errSettled) {
		s.Log.Error("validating a challenge", "account", t.account, "order", t.order.String(), "type", t.kind, "error", err)
	}
}

// errSettled says that the result of a task no longer matters.
var errSettled = errors.New("the challenge is not being validated any more")

// find returns the challenge of a task while it is being validated.
func (t task) find(tx storage.Tx, now time.Time) (*order, *challenge, error) {
	o, err := getOrder(tx, t.account, t.order)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil, errSettled
	}
	if err != nil {
		return nil, nil, err
	}
	c := o.challenge(t.authz, t.kind)
	if c == nil || c.Status != statusProcessing || o.provable(t.authz, now) != nil {
		return nil, nil, errSettled
	}
	return o, c, nil
}

// claimed returns what the account of a task claims.
func (s *Service) claimed(tx storage.Tx, t task) (claim, error) {
	o, c, err := t.find(tx, s.Clock.Now())
	if err != nil {
		return claim{}, err
	}
	a, err := getAccount(tx, t.account)
	if err != nil {
		return claim{}, err
	}
	az := o.Authz[t.authz]
	return claim{proof{az.identifier, c.Type, c.Token, a.Key}, a.Agent, az.name(), s.claimOf(a)}, nil
}

// settle records the result of a task. A success counts only if the agent may have the
// name at that moment. A failure is recorded as a denial, and then the challenge and its
// authorization become invalid (RFC 8555, section 7.1.6). After a crash between these
// two, the validation is repeated.
func (s *Service) settle(ctx context.Context, t task, c claim, failed *problem) error {
	now := s.Clock.Now()
	q := policy.Query{Claim: c.account, Principal: c.account.Principal(), Action: audit.ACMEChallenge, Subject: string(c.agent), Time: now, Details: audit.Details{Names: []string{c.name}}}
	if failed == nil {
		err := s.Policy.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
			return policy.Done{Reasons: []string{t.kind, c.name}}, t.succeed(tx, c, now)
		}})
		if err == nil {
			return nil
		}
		if failed = asProblem(err); failed.Status >= 500 {
			return err
		}
	} else {
		err := s.Policy.Refuse(ctx, q, agents.NewRefusal("challenge_failed", fmt.Sprintf("%s for %s: %v", t.kind, c.name, failed), failed))
		if u, ok := errors.AsType[*policy.Unrecorded](err); ok {
			return u
		}
	}
	return s.DB.Update(ctx, func(tx storage.Tx) error { return t.fail(tx, failed, now) })
}

// succeed makes the challenge and its authorization valid, if the name still belongs to
// the agent. The account's claim was checked before.
func (t task) succeed(tx storage.Tx, c claim, now time.Time) error {
	o, ch, err := t.find(tx, now)
	if err != nil {
		return err
	}
	agent, err := agents.Get(tx, c.agent)
	if err != nil {
		return err
	}
	name := []agents.Identifier{{Type: c.Type, Value: c.name}}
	if err := policy.Names(agent, name, name); err != nil {
		return err
	}
	ch.Status, ch.Validated = statusValid, now.UTC().Truncate(time.Second)
	o.Authz[t.authz].Status = statusValid
	return o.put(tx)
}

func (t task) fail(tx storage.Tx, failed *problem, now time.Time) error {
	o, ch, err := t.find(tx, now)
	if err != nil {
		return err
	}
	ch.Status, ch.Error = statusInvalid, failed
	o.Authz[t.authz].Status = statusInvalid
	return o.put(tx)
}
