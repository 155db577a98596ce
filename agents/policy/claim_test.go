package policy_test

import (
	"errors"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestNothingIsRecordedWithoutAClaim: whoever is not an operator or the server needs a
// claim that holds where the change is recorded, and nobody gets a credential without
// one for its agent.
func TestNothingIsRecordedWithoutAClaim(t *testing.T) {
	bot := policy.Agent("spiffe://example.internal/agent/bot")
	bearer := policy.Bearer("enrollment token")
	ended := agents.NewRefusal("ended", "it has ended", nil)
	holds := func(storage.Tx, *agents.Standing) error { return nil }
	fails := func(storage.Tx, *agents.Standing) error { return ended }
	claim := func(p policy.Principal, n agents.Name, c policy.Check) policy.Claim {
		return policy.NewClaim(p, n, audit.Evidence{Code: "a test"}, c)
	}
	for what, c := range map[string]struct {
		who    policy.Principal
		action audit.Action
		agent  agents.Name
		claim  policy.Claim
		want   error // ErrDenied where no claim counts
	}{
		"a token for an agent without a claim":      {bot, audit.TokenMint, "bot", policy.Claim{}, policy.ErrDenied},
		"a certificate for a bearer without one":    {bearer, audit.CertificateIssue, "bot", policy.Claim{}, policy.ErrDenied},
		"a certificate for an operator without one": {operator, audit.CertificateIssue, "bot", policy.Claim{}, policy.ErrDenied},
		"a certificate for the server without one":  {policy.System, audit.CertificateIssue, "bot", policy.Claim{}, policy.ErrDenied},
		"an agent's change without one":             {bot, audit.TokenRevoke, "", policy.Claim{}, policy.ErrDenied},
		"an operator's change without one":          {operator, audit.AgentSet, "", policy.Claim{}, nil},
		"the server's change without one":           {policy.System, audit.ServerStart, "", policy.Claim{}, nil},
		"a claim that nothing checks":               {bot, audit.TokenMint, "bot", claim(bot, "bot", nil), policy.ErrDenied},
		"a claim of a bearer that nothing checks":   {bearer, audit.CertificateIssue, "bot", claim(bearer, "bot", nil), policy.ErrDenied},
		"a claim to be another agent":               {bot, audit.TokenMint, "bot", claim(bot, "other", holds), policy.ErrDenied},
		"a claim of another principal":              {bot, audit.TokenMint, "bot", claim(bearer, "bot", holds), policy.ErrDenied},
		"an operator's claim in an agent's name":    {bot, audit.TokenMint, "bot", claim(operator, "bot", nil), policy.ErrDenied},
		"a claim that does not hold any more":       {bot, audit.TokenMint, "bot", claim(bot, "bot", fails), ended},
		"a claim that does not hold for a change":   {bot, audit.TokenRevoke, "", claim(bot, "bot", fails), ended},
		"a claim that holds":                        {bot, audit.TokenMint, "bot", claim(bot, "bot", holds), nil},
		"an operator's claim":                       {operator, audit.CertificateIssue, "bot", claim(operator, "bot", nil), nil},
	} {
		db := openDB(t)
		if err := db.Update(t.Context(), func(tx storage.Tx) error {
			e, err := agents.NewEnrollment(now)
			if err == nil {
				_, err = agents.Add(tx, "example.internal", "bot", agents.Change{Owner: new("o"), Scopes: []string{"a"}, Audiences: []string{"https://api.example"}}, e, now)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		q := policy.Query{Principal: c.who, Action: c.action, Agent: c.agent, Claim: c.claim, Time: now}
		p := policy.Point{DB: db}
		err := p.Do(t.Context(), q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
			return policy.Done{}, things.Put(tx, "k", "done")
		}})
		if err := p.Flush(t.Context(), now); err != nil { // refusals of bearers are counted first
			t.Error(err)
		}
		found, events := left(t, db)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || (len(found) == 1) != (c.want == nil) {
			t.Errorf("%s: got %v with %v, want %v", what, err, found, c.want)
		}
		if len(events) != 1 || (events[0].Decision == audit.Allow) != (c.want == nil) {
			t.Errorf("%s: recorded is %+v", what, events)
		}
		if c.want == ended && events[0].Subject != "bot" {
			t.Errorf("%s: the refusal does not say whose it is: %+v", what, events)
		}
	}
}

// TestStandingOfTheDecision: the claim and the change see what their transaction sees.
func TestStandingOfTheDecision(t *testing.T) {
	db := openDB(t)
	bot := policy.Agent("spiffe://example.internal/agent/bot")
	var seen *agents.Standing
	q := policy.Query{Principal: bot, Action: audit.TokenRevoke, Time: now, Claim: policy.NewClaim(bot, "bot", audit.Evidence{}, func(_ storage.Tx, s *agents.Standing) error {
		seen = s
		return nil
	})}
	p := policy.Point{DB: db}
	err := p.Do(t.Context(), q, policy.Act{Change: func(_ storage.Tx, d *policy.Decision) (policy.Done, error) {
		if seen == nil || d.Standing() != seen {
			t.Errorf("the claim saw %p and the change %p", seen, d.Standing())
		}
		return policy.Done{}, nil
	}})
	if err != nil {
		t.Error(err)
	}
}
