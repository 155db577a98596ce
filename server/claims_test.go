package server

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens"
)

// An end takes something away from an agent.
type end struct {
	name  string
	do    func(*claimant)
	stops func(way) bool // whether the agent gets nothing after it in this way
}

func everyWay(way) bool { return true }
func noWay(way) bool    { return false }

// relyingOn returns whether a way relies on one of these.
func relyingOn(what ...string) func(way) bool {
	return func(w way) bool { return slices.ContainsFunc(what, w.reliesOn) }
}

// cut are the ways that a cutoff of all credentials stops: registered keys, invitations
// and operators may obtain new ones.
var cut = relyingOn("certificate", "account")

// ends are all ways to take something away, each as operators and agents do it.
var ends = []end{
	{"nothing happens", func(*claimant) {}, noWay},
	{"its certificate is revoked", func(c *claimant) {
		if c.cert != nil {
			c.operate("POST", "/certificates/"+serial(c.cert)+"/revoke", nil)
		}
	}, relyingOn("certificate")},
	{"it is revoked by its name", func(c *claimant) { c.revoke(api.Selection{Agent: c.name}) }, cut},
	{"it is revoked by its owner", func(c *claimant) { c.revoke(api.Selection{Owner: c.owner}) }, cut},
	{"it is revoked by a label", func(c *claimant) { c.revoke(api.Selection{Labels: map[string]string{"run": c.name}}) }, cut},
	{"it is revoked by the time before", func(c *claimant) {
		c.set(c.now().Add(time.Nanosecond)) // it was issued at this instant, perhaps
		c.revoke(api.Selection{Agent: c.name, IssuedBefore: c.now()})
	}, cut},
	{"it is revoked by the time since", func(c *claimant) { c.revoke(api.Selection{Agent: c.name, IssuedSince: dawn}) }, cut},
	{"it is suspended", func(c *claimant) { c.operate("POST", "/agents/"+c.name+"/suspend", nil) }, everyWay},
	{"it is suspended and resumed", func(c *claimant) {
		c.operate("POST", "/agents/"+c.name+"/suspend", nil)
		c.operate("POST", "/agents/"+c.name+"/resume", nil)
	}, relyingOn("certificate", "account", "invitation")},
	{"it is decommissioned", func(c *claimant) { c.operate("POST", "/agents/"+c.name+"/decommission", nil) }, everyWay},
	{"its end comes", func(c *claimant) {
		end := c.now().Add(time.Second)
		c.change(agents.Change{Expires: &end})
		c.set(end)
	}, noWay}, // but see alive
	{"its certificates do not renew late any more", func(c *claimant) { c.change(agents.Change{RenewGrace: new(time.Duration(0))}) }, relyingOn("window")},
	{"its key is removed", func(c *claimant) { c.change(agents.Change{Keys: []string{}}) }, relyingOn("key")},
	{"its key is replaced", func(c *claimant) { c.change(agents.Change{Keys: []string{publicPEM(c.t, newKey(c.t))}}) }, relyingOn("key")},
	{"its keys are too old now", func(c *claimant) { c.change(agents.Change{KeyMaxAge: new(agents.MinKeyMaxAge)}) }, relyingOn("key", "account")},
	{"a scope is taken away", func(c *claimant) { c.change(agents.Change{Scopes: []string{"kept"}}) }, noWay},
	{"a role is taken away", func(c *claimant) { c.change(agents.Change{Roles: []string{}}) }, noWay},
	{"a scope is taken from its role", func(c *claimant) {
		c.operate(http.MethodPatch, "/roles/"+c.role, api.RoleChange{Scopes: []string{"kept"}})
	}, noWay},
	{"its role is removed", func(c *claimant) {
		c.operate("POST", "/roles/"+c.role+"/remove", api.RemoveRoleRequest{Force: true})
	}, noWay},
	{"its grant is taken away", func(c *claimant) {
		c.change(agents.Change{Scopes: []string{grantedScope}, Until: new(time.Time)})
	}, noWay},
	{"its grant ends", func(c *claimant) { c.set(c.granted) }, noWay}, // but see alive
	{"an audience is taken away", func(c *claimant) { c.change(agents.Change{Audiences: []string{"https://kept.example"}}) }, noWay},
	{"a name is taken away", func(c *claimant) { c.change(agents.Change{DNS: []string{}}) }, noWay},
	{"a name must be proven now", func(c *claimant) { c.change(agents.Change{DNS: []string{c.dns() + ",challenge"}}) }, noWay},
	{"its owner was revoked and is another now", func(c *claimant) {
		c.revoke(api.Selection{Owner: c.owner})
		c.change(agents.Change{Owner: new("somebody else")})
	}, cut},
	{"its new owner is revoked", func(c *claimant) {
		c.change(agents.Change{Owner: new("new " + c.owner)})
		c.revoke(api.Selection{Owner: "new " + c.owner})
	}, cut},
	{"it is invited again", func(c *claimant) { c.operate("POST", "/agents/"+c.name+"/reenroll", nil) }, relyingOn("invitation")},
	{"its account has another key", func(c *claimant) {
		if c.account != nil {
			c.done(c.account.changeKey())
		}
	}, relyingOn("account")},
	{"its proxy may not forward any more", func(c *claimant) {
		if c.proxy != "" {
			c.operate(http.MethodPatch, "/agents/"+c.proxy, agents.Change{Scopes: []string{}})
		}
	}, relyingOn("proxy")},
	{"the certificate of its proxy is revoked", func(c *claimant) {
		if c.proxy != "" {
			c.operate("POST", "/certificates/"+serial(c.proxyCert)+"/revoke", nil)
		}
	}, relyingOn("proxy")},
	{"its proxy is suspended", func(c *claimant) {
		if c.proxy != "" {
			c.operate("POST", "/agents/"+c.proxy+"/suspend", nil)
		}
	}, relyingOn("proxy")},
	{"its account is deactivated", func(c *claimant) {
		if c.account != nil {
			c.done(c.account.post(strings.TrimPrefix(c.account.url, c.file.Advertise), map[string]any{"status": "deactivated"}))
		}
	}, relyingOn("account")},
}

func (c *claimant) revoke(s api.Selection) { c.t.Helper(); c.operate("POST", "/revoke", s) }

func (c *claimant) change(what agents.Change) {
	c.t.Helper()
	c.operate(http.MethodPatch, "/agents/"+c.name, what)
}

func (c *claimant) done(r reply) {
	if !r.ok() {
		c.t.Errorf("%d %s", r.status, r.body)
	}
}

// TestNothingOutrunsAnEnd has agents ask in every way, and ends what they rely on just
// before one of the transactions that the request takes, the recording one at the latest.
// The agent must get nothing that the end forbids, and each refusal must be on record.
func TestNothingOutrunsAnEnd(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	rounds := 2
	if os.Getenv("BREVET_LONG") != "" {
		rounds = 10
	}
	gained, stopped := map[string]int{}, 0
	for range rounds {
		a, db := newInterrupted(t)
		n := 0
		for _, w := range ways {
			transactions := 0
			for _, e := range ends {
				n++
				at := 1 + r.IntN(max(transactions, 1))
				what := fmt.Sprintf("seed %d: by %s, and %s before transaction %d", seed, w.name, e.name, at)
				c := a.newClaimant(n)
				c.ages = e.name == "its keys are too old now"
				c.age()
				w.prepare(c)
				a.pass(r)
				before := a.authority.Events()
				var got reply
				happens := func() { a.pass(r); e.do(c); before = a.authority.Events(); a.pass(r) }
				calls := db.before(at, happens, func() { got = w.ask(c) })
				if e.name == ends[0].name {
					transactions = calls
				}
				granted, refused := c.verdict(a.log(before))
				c.check(what, w, e, got, granted)
				switch {
				case granted != nil:
					gained[w.name]++
				case refused == nil && !(at == 1 && e.name == "its account has another key"): // the signature is simply wrong then
					t.Errorf("%s: no refusal is on record: %d %s", what, got.status, got.body)
				default:
					stopped++
				}
			}
		}
	}
	for _, w := range ways {
		if gained[w.name] < 2*rounds {
			t.Errorf("by %s: it got %d, which is too few to say anything", w.name, gained[w.name])
		}
	}
	t.Logf("%d stopped, got: %v", stopped, gained)
}

// verdict returns the event by which the agent got something, and the one by which it
// was refused.
func (c *claimant) verdict(events []audit.Event) (granted, refused *audit.Event) {
	for _, e := range events {
		if e.Subject != c.name && (c.proxy == "" || e.Subject != c.proxy) {
			continue
		}
		if e.Decision == audit.Deny {
			refused = &e
		} else if e.Action == audit.CertificateIssue || e.Action == audit.TokenMint || e.Action == audit.ACMEAccountCreate || e.Action == audit.AgentKeyReplace {
			granted = &e
		}
	}
	return granted, refused
}

// check compares what the agent got with what it may have after the end.
func (c *claimant) check(what string, w way, e end, got reply, granted *audit.Event) {
	c.t.Helper()
	if got.ok() != (granted != nil) {
		c.t.Errorf("%s: answered %d %s, recorded %+v", what, got.status, got.body, granted)
	}
	if granted == nil {
		if e.name == ends[0].name {
			c.t.Errorf("%s: %d %s", what, got.status, got.body)
		}
		return
	}
	if e.stops(w) {
		c.t.Errorf("%s: it got a %s: %s", what, w.gives, got.body)
	}
	d := granted.Details
	switch {
	case d == nil:
	case e.name == "a scope is taken away" && slices.Contains(d.Scopes, claimedScope),
		strings.Contains(e.name, "role ") && slices.Contains(d.Scopes, roleScope),
		strings.HasSuffix(e.name, "its role") && slices.Contains(d.Scopes, roleScope),
		e.name == "its grant is taken away" && slices.Contains(d.Scopes, grantedScope),
		slices.Contains(d.Scopes, grantedScope) && d.NotAfter.After(c.granted),
		e.name == "an audience is taken away" && slices.Contains(d.Audiences, claimedAudience),
		strings.HasPrefix(e.name, "a name ") && slices.Contains(d.Names, c.dns()):
		c.t.Errorf("%s: it got %+v", what, d)
	}
	if (w.gives == "account" || w.gives == "key") && e.name == "its keys are too old now" {
		return // what it got has a key that may be too old by now
	}
	// By the decision's time the agent or its grant has not come to its end, so that it may get
	// what ends at that moment.
	ended := e.name == "its end comes" || e.name == "its grant ends" && d != nil && slices.Contains(d.Scopes, grantedScope)
	if alive, want := c.alive(got, granted), !ended; alive != want {
		c.t.Errorf("%s: it got a %s that is alive: %v, want %v", what, w.gives, alive, want)
	}
}

// alive reports whether what was granted can be used now.
func (c *claimant) alive(got reply, granted *audit.Event) (alive bool) {
	if granted.Action == audit.ACMEAccountCreate {
		c.unopened.url = got.header.Get("Location")
		return c.unopened.post("/acme/new-order", map[string]any{"identifiers": []any{map[string]string{"type": "dns", "value": c.file.TrustDomain.Host(agents.Name(c.name))}}}).ok()
	}
	err := c.db.View(c.t.Context(), func(tx storage.Tx) error {
		if granted.Action == audit.AgentKeyReplace {
			key, err := agents.ParsePublicKey([]byte(publicPEM(c.t, c.next)))
			alive = agents.NewStanding(tx, c.now()).CheckKey(agents.Key{Public: key, Agent: agents.Name(c.name)}, 0) == nil
			return err
		}
		id, err := agents.ParseCredentialID(granted.Credential)
		if err != nil {
			return err
		}
		var made agents.Credential
		if granted.Action == audit.TokenMint {
			t, err := tokens.Get(tx, id)
			if made = t.Credential; err != nil {
				return err
			}
		} else {
			cert, err := ca.Get(tx, id)
			if made = cert.Credential; err != nil {
				return err
			}
		}
		_, dead := agents.NewStanding(tx, c.now()).Check(made)
		alive = dead == nil
		return nil
	})
	if err != nil {
		c.t.Error(err)
	}
	return alive
}
