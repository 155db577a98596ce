package policy_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage/audit"
)

func dns(names ...string) (ids []agents.Identifier) {
	for _, n := range names {
		ids = append(ids, agents.Identifier{Type: "dns", Value: n})
	}
	return ids
}

func TestNames(t *testing.T) {
	a := agents.Agent{Name: "api", Identifiers: append(dns("api.example.com", "*.apps.example.com"),
		agents.Identifier{Type: "ip", Value: "10.0.0.1"}, agents.Identifier{Type: "dns", Value: "proven.example.com", Challenge: true})}
	for _, c := range []struct {
		what          string
		asked, proven []agents.Identifier
		want          error
	}{
		{"nothing", nil, nil, nil},
		{"what it has", dns("api.example.com", "*.apps.example.com"), nil, nil},
		{"an address", []agents.Identifier{{Type: "ip", Value: "10.0.0.1"}}, nil, nil},
		{"another's", dns("www.example.com"), nil, policy.ErrName},
		{"one too many", dns("api.example.com", "www.example.com"), nil, policy.ErrName},
		{"what a wildcard covers", dns("one.apps.example.com"), nil, policy.ErrName},
		{"a wildcard over what it has", dns("*.example.com"), nil, policy.ErrName},
		{"upper case", dns("API.example.com"), nil, policy.ErrName},
		{"a trailing dot", dns("api.example.com."), nil, policy.ErrName},
		{"an address as a name", dns("10.0.0.1"), nil, policy.ErrName},
		{"a name as an address", []agents.Identifier{{Type: "ip", Value: "api.example.com"}}, nil, policy.ErrName},
		{"a challenge not met", dns("proven.example.com"), nil, policy.ErrName},
		{"a challenge met", dns("proven.example.com"), dns("proven.example.com"), nil},
		{"another challenge met", dns("proven.example.com"), dns("other.example.com"), policy.ErrName},
		{"a proof of what is not its", dns("other.example.com"), dns("other.example.com"), policy.ErrName},
	} {
		if err := policy.Names(a, c.asked, c.proven); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, want %v", c.what, err, c.want)
		}
	}
}

type scopes = []agents.Scope

// held returns what an agent without roles has.
func held(a agents.Agent) *agents.Holdings { return new((&agents.Facts{Agent: a}).Holdings(now)) }

func TestScopes(t *testing.T) {
	for _, c := range []struct {
		what             string
		has, asked, want scopes
	}{
		{"denied by default", nil, nil, nil},
		{"asked for without having any", nil, scopes{"a"}, nil},
		{"all that it has", scopes{"a", "b"}, nil, scopes{"a", "b"}},
		{"fewer", scopes{"a", "b"}, scopes{"b"}, scopes{"b"}},
		{"one too many", scopes{"a"}, scopes{"a", "b"}, nil},
		{"in another case", scopes{"a"}, scopes{"A"}, nil},
		{"a longer one", scopes{"a"}, scopes{"a:b"}, nil},
		{"the authority's own are not among the default", scopes{"brevet:introspect", "a"}, nil, scopes{"a"}},
		{"unless there are no others", scopes{"brevet:introspect"}, nil, scopes{"brevet:introspect"}},
		{"but can be asked for", scopes{"brevet:introspect", "a"}, scopes{"brevet:introspect"}, scopes{"brevet:introspect"}},
		{"if it has them", scopes{"brevet:introspect", "a"}, scopes{"brevet:admin"}, nil},
	} {
		got, err := policy.TokenScopes(held(agents.Agent{Scopes: c.has}), c.asked)
		if !slices.Equal(got, c.want) || errors.Is(err, policy.ErrScope) != (c.want == nil) {
			t.Errorf("%s: got %v, %v, want %v", c.what, got, err, c.want)
		}
	}
}

func TestAudiences(t *testing.T) {
	const authority, api, web = "https://ca.example", "https://api.example", "https://web.example"
	type list = []string
	for _, c := range []struct {
		what   string
		has    list
		scopes scopes
		asked  list
		want   list
		err    error
	}{
		{"denied by default", nil, scopes{"a"}, nil, nil, policy.ErrAudience},
		{"asked for without having any", nil, scopes{"a"}, list{api}, nil, policy.ErrAudience},
		{"the only one", list{api}, scopes{"a"}, nil, list{api}, nil},
		{"one of two must be named", list{api, web}, scopes{"a"}, nil, nil, policy.ErrAudience},
		{"one of two, named", list{api, web}, scopes{"a"}, list{web}, list{web}, nil},
		{"both, named", list{api, web}, scopes{"a"}, list{web, api}, list{web, api}, nil},
		{"one too many", list{api}, scopes{"a"}, list{api, web}, nil, policy.ErrAudience},
		{"with the slash of an empty path", list{api}, scopes{"a"}, list{api + "/"}, list{api}, nil},
		{"registered with it", list{api + "/"}, scopes{"a"}, list{api}, list{api + "/"}, nil},
		{"registered in both forms", list{api, api + "/"}, scopes{"a"}, list{api + "/"}, list{api + "/"}, nil},
		{"in two forms", list{api}, scopes{"a"}, list{api + "/", api, api + ":443"}, list{api}, nil},
		{"with two slashes it is another", list{api}, scopes{"a"}, list{api + "//"}, nil, policy.ErrAudience},
		{"the authority with a slash", nil, scopes{"brevet:admin"}, list{authority + "/"}, list{authority}, nil},
		{"the authority for its own scopes", nil, scopes{"brevet:introspect"}, nil, list{authority}, nil},
		{"also when others are registered", list{api, web}, scopes{"brevet:introspect"}, nil, list{authority}, nil},
		{"the authority, named", nil, scopes{"brevet:admin"}, list{authority}, list{authority}, nil},
		{"another for the authority's scopes", list{api}, scopes{"brevet:introspect"}, list{api}, nil, policy.ErrAudience},
		{"the authority for other scopes", list{api}, scopes{"a"}, list{authority}, nil, policy.ErrAudience},
		{"both kinds of scopes", list{api}, scopes{"a", "brevet:introspect"}, nil, nil, policy.ErrScope},
	} {
		got, err := policy.TokenAudiences(held(agents.Agent{Audiences: c.has}), address.At(authority), time.Now(), c.scopes, c.asked)
		if !slices.Equal(got, c.want) || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: got %v, %v, want %v, %v", c.what, got, err, c.want, c.err)
		}
	}
}

// TestGrantsNeedAnAgent: without one nothing says what may be had.
func TestGrantsNeedAnAgent(t *testing.T) {
	p := policy.Point{DB: openDB(t)}
	bot := policy.Agent("spiffe://example.internal/agent/bot")
	for what, q := range map[string]policy.Query{
		"a certificate":            {Principal: bot, Action: audit.CertificateIssue},
		"a certificate for a name": {Principal: bot, Action: audit.CertificateIssue, Names: dns("bank.example")},
		"the server's own":         {Principal: policy.System, Action: audit.CertificateIssue},
		"a token":                  {Principal: bot, Action: audit.TokenMint},
		"a token for a scope":      {Principal: bot, Action: audit.TokenMint, Scopes: scopes{"a"}},
		"names by another action":  {Principal: bot, Action: audit.ACMEOrder, Names: dns("bank.example")},
		"scopes by another action": {Principal: operator, Action: audit.AgentSet, Scopes: scopes{"a"}},
	} {
		d, err := p.Decide(t.Context(), q)
		if err != nil || d.Effect != audit.Deny || !policy.IsDenial(d.Refusal) || d.Granted.Names != nil {
			t.Errorf("%s: %+v, %v", what, d, err)
		}
	}
}
