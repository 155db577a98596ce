package acme

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/mail"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// newAccount opens an account, or finds the one that the key has (RFC 8555,
// section 7.3).
func (s *Service) newAccount(r *request) (*answer, error) {
	var contact []string
	var existing bool
	var binding json.RawMessage
	err := r.read(map[string]any{"contact": &contact, "onlyReturnExisting": &existing, "externalAccountBinding": &binding})
	if err != nil {
		return nil, err
	}
	found, dead, err := s.findAccount(r)
	switch {
	case err == nil && binding != nil && !existing:
		return s.comeBack(r, found, dead, contact, binding)
	case err == nil && dead != nil:
		return nil, s.refuseDead(r, found, dead, existing)
	case err == nil:
		return s.showAccount(found), nil
	case !errors.Is(err, storage.ErrNotFound):
		return nil, err
	case existing:
		return nil, newProblem("accountDoesNotExist", "no account has this key")
	}
	if err := checkContact(contact); err != nil {
		return nil, err
	}
	if binding == nil {
		return nil, newProblem("externalAccountRequired", "an account needs the external account binding key that brevet agent add or reenroll prints")
	}
	a, err := s.open(r, contact, binding)
	if err != nil {
		// The client may be retrying while its first attempt succeeds.
		if found, dead, err := s.findAccount(r); err == nil && dead == nil {
			return s.showAccount(found), nil
		}
	}
	return a, err
}

// refuseDead refuses a dead account. If a new binding can open it again, a client that may
// be about to register is told that it does not exist: clients that look first (uacme) then
// send the binding, and so do those that come with the account after the operator has made a
// new binding (certmagic and so Caddy).
func (s *Service) refuseDead(r *request, a *account, dead error, may bool) error {
	err := s.Policy.Refuse(r.ctx, s.query(r, audit.ACMERequest), dead)
	if p := asProblem(err); may && p.Type == "unauthorized" && a.Status != statusDeactivated {
		return newProblem("accountDoesNotExist", "%s", p.Detail)
	}
	return err
}

// expected reports whether the agent of a request has a binding that it has not used.
func (s *Service) expected(r *request) (yes bool, err error) {
	err = s.DB.View(r.ctx, func(tx storage.Tx) error {
		a, err := agents.Get(tx, r.account.Agent)
		yes = a.Binding != nil && a.Usable(r.now) == nil
		return err
	})
	return yes, err
}

// findAccount returns the account of the request's key (RFC 8555, section 7.3.1) and why
// it is dead, if it is. It fails with [storage.ErrNotFound] if there is no account.
func (s *Service) findAccount(r *request) (a *account, dead, err error) {
	err = s.DB.View(r.ctx, func(tx storage.Tx) (err error) {
		if a, err = byThumbprint(tx, r.key); err == nil {
			_, dead = s.standing(a, agents.NewStanding(tx, r.now))
		}
		return err
	})
	if err == nil && dead != nil && !policy.IsDenial(dead) {
		err = dead
	}
	if err != nil {
		return nil, nil, err
	}
	r.account = a
	return a, dead, admission.Prove(r.ctx, a.Agent)
}

// checkContact accepts mailto URLs of one address (RFC 8555, section 7.3).
func checkContact(contact []string) error {
	if len(contact) > 10 {
		return newProblem("invalidContact", "at most 10 contacts")
	}
	for _, c := range contact {
		address, ok := strings.CutPrefix(c, "mailto:")
		if !ok {
			return newProblem("unsupportedContact", "contacts are mailto URLs")
		}
		a, err := mail.ParseAddress(address)
		if err != nil || a.Address != address || len(c) > 256 || strings.ContainsAny(address, "?,") {
			return newProblem("invalidContact", "the contact is not a mailto URL of one address")
		}
	}
	return nil
}

// open makes an account, in the transaction that consumes its binding.
func (s *Service) open(r *request, contact []string, raw json.RawMessage) (*answer, error) {
	b, err := s.parseBinding(r, raw)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 16)
	rand.Read(secret)
	a := account{Account: Account{ID: strict.ToBase64(secret)}, Key: r.key.jwk, Contact: contact, Status: statusValid}
	q := b.query(r)
	if b.refused != nil {
		return nil, unbound(s.Policy.Refuse(r.ctx, q, b.refused))
	}
	if err := admission.Prove(r.ctx, b.agent); err != nil {
		return nil, err
	}
	// A cutoff that comes before the account is recorded would end it.
	now, err := s.Clock.Issuing()
	if err != nil {
		return nil, err
	}
	a.Agent, a.Created = b.agent, now
	b.use(&q, now)
	err = s.Policy.Do(r.ctx, q, policy.Act{Change: func(tx storage.Tx, d *policy.Decision) (policy.Done, error) {
		if _, err := s.standing(&a, d.Standing()); err != nil {
			return policy.Done{}, err
		}
		if err := r.key.enter(tx, a.ID, a.Agent, s.Clock.Earliest()); err != nil {
			return policy.Done{}, err
		}
		return policy.Done{Reasons: []string{"acme account " + a.ID}}, accounts.Create(tx, a.ID, a)
	}})
	if err != nil {
		return nil, unbound(err)
	}
	answer := s.showAccount(&a)
	answer.status, answer.body.(*accountDocument).Binding = 201, raw // section 7.3.4
	return answer, nil
}

// unbound gives the same answer for every key that cannot be used. Its status counts
// against the client's address, because the refusal is recorded.
func unbound(err error) error {
	if errors.Is(err, agents.ErrBinding) || errors.Is(err, storage.ErrExists) || errors.Is(err, agents.ErrUnknown) {
		p := newProblem("unauthorized", "%v", agents.ErrBinding)
		p.Status = http.StatusUnauthorized
		return p
	}
	return err
}
