package policy

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestEnginesOnlyNarrow: what an engine grants beyond the built-in rules is not
// granted, and what it leaves open is as they say.
func TestEnginesOnlyNarrow(t *testing.T) {
	end := time.Date(2026, 3, 14, 15, 0, 0, 0, time.UTC)
	all := Granted{Scopes: []agents.Scope{"a", "b"}, Audiences: []string{"x"}, Names: []agents.Identifier{{Type: "dns", Value: "n"}}, Profile: "p", NotAfter: end}
	with := func(f func(*Granted)) Granted { g := all; f(&g); return g }
	for what, c := range map[string]struct {
		says, want Granted
		none       bool
	}{
		"nothing":           {Granted{}, all, false},
		"the same":          {all, all, false},
		"more":              {Granted{Scopes: []agents.Scope{"b", "a", "c"}, NotAfter: end.Add(1)}, all, false},
		"fewer scopes":      {Granted{Scopes: []agents.Scope{"b", "c"}}, with(func(g *Granted) { g.Scopes = []agents.Scope{"b"} }), false},
		"a shorter life":    {Granted{NotAfter: end.Add(-time.Minute)}, with(func(g *Granted) { g.NotAfter = end.Add(-time.Minute) }), false},
		"no scope":          {Granted{Scopes: []agents.Scope{}}, all, true},
		"other audiences":   {Granted{Audiences: []string{"y"}}, all, true},
		"other names":       {Granted{Names: []agents.Identifier{{Type: "dns", Value: "m"}}}, all, true},
		"another profile":   {Granted{Profile: "q"}, all, true},
		"no name at all":    {Granted{Names: []agents.Identifier{}}, all, true},
		"no audience there": {Granted{Audiences: []string{}}, all, true},
	} {
		got, err := all.narrow(c.says)
		if errors.Is(err, errNarrowed) != c.none || err == nil && (!reflect.DeepEqual(got, c.want) || !all.covers(got)) {
			t.Errorf("%s: got %+v, %v, want %+v", what, got, err, c.want)
		}
	}
}

// silent is an engine that is down.
type silent struct{}

func (silent) Decide(context.Context, *Query, *agents.Facts) (Decision, error) {
	return Decision{}, errors.New("connection refused")
}

// TestRevocationNeedsNoEngine: an engine that is down stops what grants something, and
// no revocation.
func TestRevocationNeedsNoEngine(t *testing.T) {
	p := &Point{External: []Engine{silent{}}}
	for _, a := range audit.Actions() {
		if !a.Action.Allows(audit.Operator) {
			continue
		}
		d, err := p.Decide(t.Context(), Query{Principal: UID(0), Action: a.Action, Subject: "bot"})
		if err != nil {
			t.Fatal(err)
		}
		switch a.Action {
		case audit.CertificateRevoke, audit.CredentialRevoke, audit.TokenRevoke, audit.AgentSuspend, audit.AgentDecommission, audit.KeyCompromise:
			if d.Effect != audit.Allow {
				t.Errorf("%s: %s, %v", a.Action, d.Effect, d.Refusal)
			}
		default:
			if d.Effect != audit.Deny {
				t.Errorf("%s without the engine: %s", a.Action, d.Effect)
			}
		}
	}
}
