package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

func (h *Handler) suspend(r *http.Request) (any, error) {
	return h.end(r, "agent.suspend", agents.PrivilegeWithdrawn, agents.Suspend)
}

func (h *Handler) decommission(r *http.Request) (any, error) {
	return h.end(r, "agent.decommission", agents.CessationOfOperation,
		func(tx storage.Tx, n agents.Name, why agents.Reason, now time.Time) (agents.Agent, error) {
			return agents.Decommission(tx, h.TrustDomain, n, why, now)
		})
}

// end runs a change that ends all that an agent holds. What that was, is
// found out in the same transaction, before the change.
func (h *Handler) end(r *http.Request, action string, otherwise agents.Reason, change func(storage.Tx, agents.Name, agents.Reason, time.Time) (agents.Agent, error)) (any, error) {
	name, err := agentName(r)
	if err != nil {
		return nil, err
	}
	why, err := readReason(r, otherwise)
	if err != nil {
		return nil, err
	}
	var ended []holding
	var accounts []Account
	held := h.surveyed(r, func(a agents.Agent, _ agents.Credential) bool { return a.Name == name })
	err = h.cutOff(r, action, string(name), func(tx storage.Tx, now time.Time) (err error) {
		if ended, err = held(tx, now); err != nil {
			return err
		}
		if accounts, err = h.accounts(tx, now, func(a agents.Agent, _ time.Time) bool { return a.Name == name }); err != nil {
			return err
		}
		_, err = change(tx, name, why, now)
		return err
	}, why.String())
	if err != nil {
		return nil, err
	}
	return h.receipt(r.Context(), ended, accounts...), nil
}

func readReason(r *http.Request, otherwise agents.Reason) (agents.Reason, error) {
	var in struct {
		Reason string `json:"reason,omitempty"`
	}
	if err := read(r, &in); err != nil || in.Reason == "" {
		return otherwise, err
	}
	return agents.ParseReason(in.Reason)
}

// surveyed looks at all records and returns what gives, in a later transaction,
// the credentials that may be used and are chosen there.
func (h *Handler) surveyed(r *http.Request, chosen choice) finder {
	var v *survey
	err := h.view(r, func(tx storage.Tx) (err error) {
		v, err = newSurvey(tx, h.Clock.Now(), chosen)
		return err
	})
	if err != nil { // which the transaction will meet as well, and put on record
		return chosen.at
	}
	return v.at
}

// receipt publishes the CRL and says what was ended. The revocation stands
// whether or not a CRL could be published.
func (h *Handler) receipt(ctx context.Context, ended []holding, accounts ...Account) api.Receipt {
	rc := count(ended, h.Clock.Now(), accounts...)
	lists, err := h.CRL.Publish(context.WithoutCancel(ctx))
	if err != nil {
		h.Log.Error("the CRL could not be published; the revocation stands", "error", err)
		rc.Warning = "revoked, but the CRL could not be published yet: " + err.Error()
	}
	for _, l := range lists {
		rc.CRL = append(rc.CRL, api.CRLNumber{Issuer: l.Issuer, Number: l.Number})
	}
	return rc
}

func count(ended []holding, now time.Time, accounts ...Account) api.Receipt {
	rc := api.Receipt{At: now.UTC(), ACMEAccounts: len(accounts), CRL: []api.CRLNumber{}, DeadAfter: now.UTC()}
	for _, c := range ended {
		if c.token {
			rc.Tokens++
		} else {
			rc.Certificates++
		}
		if end := c.ID.Expires(); end.After(rc.DeadAfter) {
			rc.DeadAfter = end
		}
	}
	return rc
}

// revoke revokes a selection. Where it reaches back to the first credential,
// it is a cutoff for each agent, which also catches what is being issued at
// this moment; else each credential is revoked by itself.
func (h *Handler) revoke(r *http.Request) (any, error) {
	var in selection
	if err := read(r, &in); err != nil {
		return nil, err
	}
	why, err := in.check(h.Clock.Now())
	if err != nil {
		return nil, err
	}
	var ended []holding
	var accounts []Account
	choose := func(tx storage.Tx, now time.Time, held finder) (err error) {
		if err := in.checkAgents(tx); err != nil {
			return err
		}
		if ended, err = held(tx, now); err != nil {
			return err
		}
		accounts, err = h.accounts(tx, now, in.choosesAccount)
		return err
	}
	if in.DryRun {
		err := h.view(r, func(tx storage.Tx) error { return choose(tx, h.Clock.Now(), choice(in.chooses).at) })
		rc := count(ended, h.Clock.Now(), accounts...)
		rc.DryRun = true
		return rc, err
	}
	held := h.surveyed(r, in.chooses)
	err = h.cutOff(r, "credential.revoke", in.subject(), func(tx storage.Tx, now time.Time) error {
		if err := choose(tx, now, held); err != nil {
			return err
		}
		if err := h.endAccounts(tx, in, accounts); err != nil {
			return err
		}
		return in.cut(tx, ended, agents.Cutoff{At: now, Reason: why})
	}, in.reasons(why)...)
	if err != nil {
		return nil, err
	}
	return h.receipt(r.Context(), ended, accounts...), nil
}

// A selection is what is to be revoked.
type selection api.Selection

func (s selection) check(now time.Time) (agents.Reason, error) {
	switch {
	case s.Agent == "" && s.Owner == "" && len(s.Labels) == 0 && s.IssuedBefore.IsZero() && s.IssuedSince.IsZero():
		return 0, fmt.Errorf("%w selection: name an agent, an owner, a label or a time", agents.ErrInvalid)
	case s.IssuedBefore.After(now):
		return 0, fmt.Errorf("%w selection: %s lies in the future; to stop an agent from obtaining more, suspend it", agents.ErrInvalid, s.IssuedBefore.Format(time.RFC3339))
	case s.Reason == "":
		return agents.Unspecified, nil
	}
	return agents.ParseReason(s.Reason)
}

// checkAgents refuses an agent that there is not, and the authority itself.
func (s selection) checkAgents(tx storage.Tx) error {
	own, err := agents.Get(tx, agents.Authority)
	if err != nil && !errors.Is(err, agents.ErrUnknown) {
		return err
	}
	if err == nil && (s.Agent == string(own.Name) || s.Owner == own.Owner) {
		return fmt.Errorf("%w: %s is the authority itself; stop the server instead", agents.ErrTransition, own.Name)
	}
	if s.Agent == "" {
		return nil
	}
	_, err = agents.Get(tx, agents.Name(s.Agent))
	return err
}

func (s selection) chooses(a agents.Agent, c agents.Credential) bool {
	if s.Agent != "" && s.Agent != string(a.Name) || s.Owner != "" && s.Owner != a.Owner {
		return false
	}
	for k, v := range s.Labels {
		if a.Labels[k] != v {
			return false
		}
	}
	return (s.IssuedBefore.IsZero() || c.IssuedAt.Before(s.IssuedBefore)) && (s.IssuedSince.IsZero() || !c.IssuedAt.Before(s.IssuedSince))
}

// subject names the selection in the audit log.
func (s selection) subject() string {
	switch {
	case s.Agent != "":
		return s.Agent
	case s.Owner != "":
		return "owner " + s.Owner
	case len(s.Labels) > 0:
		return fmt.Sprintf("label %v", s.Labels)
	}
	return "all agents"
}

// reasons says why and what else was selected by, for the audit log.
func (s selection) reasons(why agents.Reason) []string {
	said := []string{why.String()}
	if !s.IssuedBefore.IsZero() {
		said = append(said, "issued before "+s.IssuedBefore.Format(time.RFC3339))
	}
	if !s.IssuedSince.IsZero() {
		said = append(said, "issued since "+s.IssuedSince.Format(time.RFC3339))
	}
	return said
}

// cut kills what was selected.
func (s selection) cut(tx storage.Tx, ended []holding, c agents.Cutoff) error {
	if !s.IssuedSince.IsZero() {
		for _, e := range ended {
			if err := agents.Revoke(tx, e.Credential, c); err != nil {
				return err
			}
		}
		return nil
	}
	if !s.IssuedBefore.IsZero() {
		c.Made, c.At = c.At, s.IssuedBefore.Add(-1)
	}
	if s.Owner != "" && s.Agent == "" && len(s.Labels) == 0 {
		return agents.CutOwner(tx, s.Owner, c)
	}
	return s.cutAgents(tx, c)
}

// cutAgents gives each agent that the selection is about the cutoff.
func (s selection) cutAgents(tx storage.Tx, c agents.Cutoff) error {
	s.IssuedBefore = time.Time{} // what is left of s chooses agents
	var chosen []agents.Name
	for a, err := range agents.All(tx) {
		if err != nil {
			return err
		}
		if a.Name != agents.Authority && s.chooses(a, agents.Credential{}) {
			chosen = append(chosen, a.Name)
		}
	}
	for _, n := range chosen {
		if err := agents.CutAgent(tx, n, c); err != nil {
			return err
		}
	}
	return nil
}
