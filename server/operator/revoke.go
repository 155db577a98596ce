package operator

import (
	"context"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

func (s *Service) suspend(ctx context.Context, p policy.Principal, in api.EndRequest) (api.Receipt, error) {
	return s.end(ctx, p, audit.AgentSuspend, in, agents.PrivilegeWithdrawn, agents.Suspend)
}

func (s *Service) decommission(ctx context.Context, p policy.Principal, in api.EndRequest) (api.Receipt, error) {
	return s.end(ctx, p, audit.AgentDecommission, in, agents.CessationOfOperation,
		func(tx storage.Tx, n agents.Name, why agents.Reason, now time.Time) (agents.Agent, error) {
			return agents.Decommission(tx, s.TrustDomain, n, why, now)
		})
}

// end runs a change that ends all that an agent holds. The same transaction lists
// before the change what the agent held.
func (s *Service) end(ctx context.Context, p policy.Principal, action audit.Action, in api.EndRequest, otherwise agents.Reason, change func(storage.Tx, agents.Name, agents.Reason, time.Time) (agents.Agent, error)) (api.Receipt, error) {
	name, err := agents.ParseName(in.Name)
	if err != nil {
		return api.Receipt{}, err
	}
	why, err := parseReason(in.Reason, otherwise)
	if err != nil {
		return api.Receipt{}, err
	}
	var ended []holding
	var opened []acme.Account
	var left unused
	var note string
	held := s.surveyed(ctx, func(a agents.Agent, _ agents.Credential) bool { return a.Name == name })
	err = s.cutOff(ctx, p, act{action: action, subject: string(name), reasons: []string{why.String()}, change: func(tx storage.Tx, now time.Time, d *audit.Details) (err error) {
		if ended, err = held(tx, now); err != nil {
			return err
		}
		if opened, err = s.accounts(tx, now, func(a agents.Agent, _ time.Time) bool { return a.Name == name }); err != nil {
			return err
		}
		before, err := agents.Get(tx, name)
		if err != nil {
			return err
		}
		left = unused{}
		left.add(before, now)
		d.Counts = counts(left.counted(count(ended, now, len(opened))))
		after, err := change(tx, name, why, now)
		if note = ""; after.State == before.State {
			note = fmt.Sprintf("%s was %s already", name, after.State)
		} else {
			d.Counts.Agents = 1
		}
		return err
	}})
	if err != nil {
		return api.Receipt{}, err
	}
	rc := left.counted(s.receipt(ctx, ended, len(opened)))
	rc.Note = note
	return rc, nil
}

func parseReason(text string, otherwise agents.Reason) (agents.Reason, error) {
	if text == "" {
		return otherwise, nil
	}
	return agents.ParseReason(text)
}

// surveyed looks at all records. It returns a finder for a later transaction: it finds
// the chosen credentials that may be used then.
func (s *Service) surveyed(ctx context.Context, chosen choice) finder {
	return s.survey(ctx, s.revocable(chosen))
}

// surveyedOf is surveyed for all certificates of an operator.
func (s *Service) surveyedOf(ctx context.Context, operator agents.Name) finder {
	r := s.revocable(everything)
	r.of = operator
	return s.survey(ctx, r)
}

func (s *Service) survey(ctx context.Context, r revocable) finder {
	var v *survey
	err := s.DB.View(ctx, func(tx storage.Tx) (err error) {
		v, err = newSurvey(tx, s.Clock.Now(), r)
		return err
	})
	if err != nil { // the transaction will fail with it too, and record it
		return r.at
	}
	return v.at
}

func (s *Service) revocable(chosen choice) revocable {
	return revocable{chosen: chosen, grace: s.Authority.CA.RenewGrace()}
}

// receipt publishes the CRL and says what was ended. The revocation stands even if
// no CRL could be published.
func (s *Service) receipt(ctx context.Context, ended []holding, accounts int) api.Receipt {
	rc := count(ended, s.Clock.Now(), accounts)
	var lists []*crl.CRL
	lists, rc.Warning = s.publishEnd(ctx)
	for _, l := range lists {
		rc.CRL = append(rc.CRL, api.CRLNumber{Issuer: l.Issuer, Number: l.Number})
	}
	if err := s.Authority.CA.RememberCompromised(context.WithoutCancel(ctx)); err != nil {
		s.Log.Error("compromised keys could not be remembered yet; the records of their certificates stay", "error", err)
	}
	return rc
}

// publishEnd publishes the lists after a revocation, which stands if that fails.
func (s *Service) publishEnd(ctx context.Context) (lists []*crl.CRL, warning string) {
	lists, err := s.Authority.CRL.Publish(context.WithoutCancel(ctx))
	if err != nil {
		s.Log.Error("the CRL could not be published; the revocation stands", "error", err)
		warning = "revoked, but the CRL could not be published yet: " + err.Error()
	}
	return lists, warning
}

func count(ended []holding, now time.Time, accounts int) api.Receipt {
	rc := api.Receipt{At: now.UTC(), ACMEAccounts: accounts, CRL: []api.CRLNumber{}, DeadAfter: now.UTC()}
	for _, c := range ended {
		switch {
		case c.token:
			rc.Tokens++
		case c.late:
			rc.Renewable++
		default:
			rc.Certificates++
		}
		if end := c.ID.Expires(); end.After(rc.DeadAfter) {
			rc.DeadAfter = end
		}
		if c.renews.After(rc.RenewableUntil) {
			rc.RenewableUntil = c.renews
		}
	}
	return rc
}

// revoke revokes a selection. A selection without a beginning becomes a cutoff for
// each agent, which also ends credentials that are being issued at this moment.
// Otherwise each credential is revoked individually.
func (s *Service) revoke(ctx context.Context, p policy.Principal, in api.Selection) (api.Receipt, error) {
	chosen := selection(in)
	why, err := chosen.check(s.Clock.Now())
	if err != nil {
		return api.Receipt{}, err
	}
	var ended []holding
	var opened []acme.Account
	var left unused
	choose := func(tx storage.Tx, now time.Time, held finder) (err error) {
		if err := chosen.checkAgents(tx); err != nil {
			return err
		}
		if ended, err = held(tx, now); err != nil {
			return err
		}
		if opened, err = s.accounts(tx, now, chosen.choosesAccount); err != nil {
			return err
		}
		left, err = chosen.invitations(tx, why, now)
		return err
	}
	if in.DryRun {
		err := s.DB.View(ctx, func(tx storage.Tx) error { return choose(tx, s.Clock.Now(), s.revocable(chosen.chooses).at) })
		rc := noted(left.counted(count(ended, s.Clock.Now(), len(opened))))
		rc.DryRun = true
		return rc, err
	}
	held := s.surveyed(ctx, chosen.chooses)
	what := act{action: audit.CredentialRevoke, subject: chosen.subject(), reasons: chosen.reasons(why), details: audit.Details{Selection: chosen.selected()}}
	what.change = func(tx storage.Tx, now time.Time, d *audit.Details) error {
		if err := choose(tx, now, held); err != nil {
			return err
		}
		if err := chosen.endAccounts(tx, opened, why); err != nil {
			return err
		}
		if err := left.end(tx); err != nil {
			return err
		}
		d.Counts = counts(left.counted(count(ended, now, len(opened))))
		var err error
		if d.Agents, err = chosen.touched(tx, ended, opened, left); err != nil {
			return err
		}
		return chosen.cut(tx, ended, agents.Cutoff{At: now, Reason: why})
	}
	if err := s.cutOff(ctx, p, what); err != nil {
		return api.Receipt{}, err
	}
	return noted(left.counted(s.receipt(ctx, ended, len(opened)))), nil
}

// noted says of a receipt for nothing that it is one.
func noted(r api.Receipt) api.Receipt {
	if r.Certificates+r.Renewable+r.Tokens+r.ACMEAccounts+r.Enrollments+r.ACMEKeys == 0 {
		r.Note = "nothing that matches was alive"
	}
	return r
}
