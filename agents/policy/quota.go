package policy

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// charge counts a change and its event against the quotas of the agent that asked for
// it, in the transaction that records both. Changes by operators and by the server are not
// counted.
func (p *Point) charge(tx storage.Tx, q *Query, d *Decision, done *Done) error {
	n := charged(q, done.Subject)
	if n == "" || p.DefaultQuotas() == (agents.Quotas{}) {
		return nil
	}
	event := agents.Use{Kind: agents.QuotaEvents, Until: q.Time.Add(time.Hour)}
	if slices.Contains(ends, q.Action) { // to end something is never refused for want of a quota
		return agents.Count(tx, n, q.Time, event)
	}
	quotas, err := p.QuotasOf(tx, n, d)
	if err != nil {
		return err
	}
	switch q.Action {
	case audit.CertificateIssue:
		return agents.Spend(tx, n, quotas, q.Time, event, agents.Use{Kind: agents.QuotaCertificates, Until: d.Granted.NotAfter})
	case audit.TokenMint:
		return agents.Spend(tx, n, quotas, q.Time, event, agents.Use{Kind: agents.QuotaTokens, Until: d.Granted.NotAfter})
	}
	return agents.Spend(tx, n, quotas, q.Time, event)
}

// chargeRefusal is charge for the event of a refusal. It reports whether there is room. An
// agent that does not exist has no quotas, and no room: its refusals are only counted, as
// those of strangers are. No endpoint asks for such an agent today: authenticators take the
// agent from the store, and agents are never removed.
func (p *Point) chargeRefusal(tx storage.Tx, q *Query, d *Decision, subject string) (bool, error) {
	n := charged(q, subject)
	if n == "" || p.DefaultQuotas() == (agents.Quotas{}) {
		return true, nil
	}
	quotas, err := p.QuotasOf(tx, n, d)
	if err == nil {
		err = agents.Spend(tx, n, quotas, q.Time, agents.Use{Kind: agents.QuotaEvents, Until: q.Time.Add(time.Hour)})
	}
	if errors.Is(err, agents.ErrQuota) || errors.Is(err, agents.ErrUnknown) {
		return false, nil
	}
	return err == nil, err
}

// charged returns the agent that asked, or "" if nobody is charged.
func charged(q *Query, subject string) agents.Name {
	if q.Principal.client() {
		return cmp.Or(q.Agent, agents.Name(cmp.Or(subject, q.Subject)))
	}
	return ""
}

// QuotasOf returns the quotas of an agent, or zero if the agent has none. The decision
// knows them if it was about the agent.
func (p *Point) QuotasOf(tx storage.Tx, n agents.Name, d *Decision) (agents.Quotas, error) {
	usual := p.DefaultQuotas()
	if usual == (agents.Quotas{}) {
		return usual, nil
	}
	if d.agent.Name == n {
		return d.agent.QuotasOf(usual), nil
	}
	a, err := agents.Get(tx, n)
	return a.QuotasOf(usual), err
}

// DefaultQuotas returns the quotas of agents that have none of their own.
func (p *Point) DefaultQuotas() agents.Quotas {
	if q := p.replaced.Load(); q != nil {
		return *q
	}
	return p.Quotas
}

// SetDefaultQuotas replaces those quotas, from the next change on.
func (p *Point) SetDefaultQuotas(q agents.Quotas) { p.replaced.Store(&q) }

// Spend counts one thing that an agent gets without a decision, such as an ACME order.
func (p *Point) Spend(tx storage.Tx, n agents.Name, now time.Time, use agents.Use) error {
	if p.DefaultQuotas() == (agents.Quotas{}) {
		return nil
	}
	quotas, err := p.QuotasOf(tx, n, &Decision{})
	if err != nil {
		return err
	}
	return agents.Spend(tx, n, quotas, now, use)
}

// Return takes back what Spend counted.
func (p *Point) Return(tx storage.Tx, n agents.Name, now time.Time, use agents.Use) error {
	if p.DefaultQuotas() == (agents.Quotas{}) {
		return nil
	}
	return agents.Return(tx, n, now, use)
}
