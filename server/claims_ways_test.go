package server

import (
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/clientcert"
)

const (
	claimedName     = "name.example.com" // of a certificate, beside the agent's own
	claimedScope    = "taken"
	claimedAudience = "https://taken.example"
	roleScope       = "by-role"
	grantedScope    = "for-a-while"
)

// A claimant is an agent that can authenticate in every way.
type claimant struct {
	*world
	name, owner     string
	role            string    // gives it roleScope
	granted         time.Time // until then it has grantedScope
	invitation      string
	key, registered *ecdsa.PrivateKey
	next            *ecdsa.PrivateKey // in the place of registered
	cert            *x509.Certificate
	account         *account // nil if the test does not need one
	order           string   // URL of the order that is ready
	unopened        *account // its binding is ready
	proxy           string   // an agent that forwards its certificate
	proxyCert       *x509.Certificate
	ages            bool // its keys are old when it asks
}

// newClaimant registers an agent. Scopes and audiences that nothing takes away stand
// beside those that an end takes.
func (a *world) newClaimant(n int) *claimant {
	c := &claimant{world: a, name: fmt.Sprintf("agent-%d", n), owner: fmt.Sprintf("owner-%d", n), role: fmt.Sprintf("role-%d", n), key: newKey(a.t), registered: newKey(a.t)}
	a.operate("POST", "/roles", api.AddRoleRequest{Name: c.role, RoleChange: api.RoleChange{Scopes: []string{roleScope}}})
	a.add(c.name, agents.Change{
		Owner: &c.owner, Labels: map[string]string{"run": c.name}, DNS: []string{fmt.Sprintf("%d.%s", n, claimedName)},
		Scopes: []string{claimedScope, "kept"}, Audiences: []string{claimedAudience, "https://kept.example"}, Keys: []string{publicPEM(a.t, c.registered)}, Roles: []string{c.role},
	})
	c.granted = c.now().Add(time.Minute).Truncate(time.Second)
	c.change(agents.Change{Scopes: []string{grantedScope}, Until: &c.granted})
	return c
}

// age lets the keys of the agent become as old as a limit can be.
func (c *claimant) age() {
	if c.ages {
		c.set(c.now().Add(agents.MinKeyMaxAge))
	}
}

// certify enrolls the agent, and gives it another enrollment token and binding.
func (c *claimant) certify() {
	again := c.operate("POST", "/agents/"+c.name+"/reenroll", nil)
	got := c.postJSON(c.agents, "/v1/enroll", map[string]string{"token": invitedToken(again), "csr": csrPEM(c.t, c.key, nil)}, nil)
	if c.cert = got.leaf(c.t); c.cert == nil {
		c.t.Fatalf("enrolling: %d %s", got.status, got.body)
	}
}

// expire certifies the agent and lets the certificate expire.
func (c *claimant) expire() {
	c.certify()
	c.set(c.cert.NotAfter)
}

// behindProxy certifies the agent, and a proxy.
func (c *claimant) behindProxy() {
	c.certify()
	c.proxy = c.name + "-proxy"
	invitation := c.add(c.proxy, agents.Change{Scopes: []string{string(agents.ScopeProxy)}})
	got := c.postJSON(c.agents, "/v1/enroll", map[string]string{"token": invitation, "csr": csrPEM(c.t, newKey(c.t), nil)}, nil)
	if c.proxyCert = got.leaf(c.t); c.proxyCert == nil {
		c.t.Fatalf("enrolling a proxy: %d %s", got.status, got.body)
	}
}

// tokenThroughProxy is token with a certificate that the proxy forwards.
func (c *claimant) tokenThroughProxy() reply {
	form := wantToken(url.Values{"resource": {claimedAudience}})
	return c.forward("/oauth/token", form, c.proxyCert, clientcert.Format(c.cert.Raw))
}

// dns is the name that ends take away.
func (c *claimant) dns() string { return c.name[len("agent-"):] + "." + claimedName }

// csr asks for the name that ends take away.
func (c *claimant) csr() string {
	return csrPEM(c.t, newKey(c.t), &x509.CertificateRequest{DNSNames: []string{c.dns()}})
}

// token asks for a token, with or without a word of what it shall be for.
func (c *claimant) token(form url.Values, cert *x509.Certificate) reply {
	if form == nil {
		form = url.Values{}
	}
	form.Set("resource", claimedAudience)
	return c.postForm("/oauth/token", wantToken(form), cert)
}

// A way is one in which an agent authenticates to obtain something.
type way struct {
	name    string
	prepare func(*claimant)
	ask     func(*claimant) reply
	gives   string // certificate, token, key or account
	relies  []string
}

// ways are all there are: each of the authenticators, see TestOnlyAuthenticatorsMakeClaims
// in cmd/brevet.
var ways = []way{
	{"an enrollment token", (*claimant).invite, func(c *claimant) reply {
		return c.postJSON(c.agents, "/v1/enroll", map[string]string{"token": c.invitation, "csr": c.csr()}, nil)
	}, "certificate", []string{"invitation"}},
	{"a certificate", (*claimant).certify, func(c *claimant) reply {
		return c.postJSON(c.agents, "/v1/certificates", map[string]string{"csr": c.csr()}, c.cert)
	}, "certificate", []string{"certificate"}},
	{"an expired certificate", (*claimant).expire, func(c *claimant) reply {
		return c.postJSON(c.agents, "/v1/certificates", map[string]string{"csr": c.csr()}, c.cert)
	}, "certificate", []string{"certificate", "window"}},
	{"a registered key, for a certificate", func(*claimant) {}, func(c *claimant) reply {
		assertion := c.byAssertion(c.name, c.registered).Get("client_assertion")
		return c.postJSON(c.agents, "/v1/certificates", map[string]string{"csr": c.csr(), "client_assertion": assertion}, nil)
	}, "certificate", []string{"key"}},
	{"a registered key, for the next one", func(*claimant) {}, func(c *claimant) reply {
		c.next = newKey(c.t)
		return c.replaceKey(c.naming(c.name, c.registered, sumOf(c.t, c.next)), c.next)
	}, "key", []string{"key"}},
	{"mutual TLS", (*claimant).certify, func(c *claimant) reply { return c.token(nil, c.cert) }, "token", []string{"certificate"}},
	{"a certificate that a proxy forwards", (*claimant).behindProxy, (*claimant).tokenThroughProxy, "token", []string{"certificate", "proxy"}},
	{"a registered key", func(*claimant) {}, func(c *claimant) reply {
		return c.token(c.byAssertion(c.name, c.registered), nil)
	}, "token", []string{"key"}},
	{"a certificate's key", (*claimant).certify, func(c *claimant) reply {
		return c.token(c.byAssertion(c.name, c.key), nil)
	}, "token", []string{"certificate"}},
	{"a registered key and mutual TLS", (*claimant).certify, func(c *claimant) reply {
		return c.token(c.byAssertion(c.name, c.registered), c.cert)
	}, "token", []string{"certificate", "key"}},
	{"an ACME account", (*claimant).orderByACME, func(c *claimant) reply { return c.account.finalize(c.order, c.dns()) }, "certificate", []string{"account"}},
	{"an external account binding", (*claimant).bindACME, func(c *claimant) reply { return c.unopened.open() }, "account", []string{"invitation"}},
	{"a binding for a dead account", (*claimant).endAccount, func(c *claimant) reply { return c.unopened.open() }, "account", []string{"invitation"}},
	{"an operator", func(*claimant) {}, func(c *claimant) reply {
		return c.postJSON(c.operators, "/agents/"+c.name+"/certificates", map[string]string{"csr": c.csr()}, nil)
	}, "certificate", nil},
}

func (c *claimant) invite() {
	c.invitation = invitedToken(c.operate("POST", "/agents/"+c.name+"/reenroll", nil))
}

func (w way) reliesOn(what string) bool { return slices.Contains(w.relies, what) }

func (r reply) ok() bool { return r.status == http.StatusOK || r.status == http.StatusCreated }
