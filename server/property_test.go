package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

// A crowd is many goroutines that ask an authority for anything, at random,
// and watch that nothing that was ended works again.
type crowd struct {
	*world
	owners  []string
	keys    []*ecdsa.PrivateKey
	csrs    []string // of the keys
	deeds   []atomic.Int64
	refused atomic.Int64

	mu      sync.Mutex
	members []*member // all that there ever were
	present []*member // those that are not decommissioned
	number  int64     // the greatest CRL number seen
}

// A member is an agent, and what was handed out in its name.
type member struct {
	name, owner string
	key         *ecdsa.PrivateKey // registered, for private_key_jwt

	mu          sync.Mutex
	holdings    []*held
	invitations []string
}

// A held credential is a certificate or a token.
type held struct {
	id    string
	cert  *x509.Certificate
	token string
	with  *held       // the certificate that a token is bound to
	dead  atomic.Bool // somebody was told that it is revoked
}

func (h *held) ended() bool { return h.dead.Load() || h.with != nil && h.with.dead.Load() }

// deeds are what the crowd does, and how often.
var deeds = []struct {
	name   string
	weight int
	do     func(*crowd, *member)
}{
	{"renew", 35, (*crowd).renewOne},
	{"token by certificate", 20, (*crowd).mintByCertificate},
	{"token by key", 12, (*crowd).mintByKey},
	{"introspect", 30, (*crowd).introspectOne},
	{"ask OCSP", 15, (*crowd).askOne},
	{"cert issue", 6, (*crowd).issueOne},
	{"enroll", 10, (*crowd).enrollOne},
	{"reenroll", 10, (*crowd).reenrollOne},
	{"suspend", 2, (*crowd).suspendOne},
	{"resume", 15, (*crowd).resumeOne},
	{"decommission", 1, (*crowd).decommissionOne},
	{"revoke --agent", 1, (*crowd).revokeAgent},
	{"revoke --owner", 1, (*crowd).revokeOwner},
	{"cert revoke", 3, (*crowd).revokeCertificate},
	{"token revoke", 3, (*crowd).revokeToken},
	{"publish", 2, (*crowd).publishList},
}

// TestCrowd lets many goroutines issue, renew, mint, introspect, suspend,
// resume, revoke and decommission at random. Meanwhile nothing that was ended
// before a question was asked is found alive; afterwards the audit log alone
// tells which credentials exist, which of them are alive, and how each agent is.
func TestCrowd(t *testing.T) {
	c := &crowd{world: newAuthority(t), owners: []string{"ann", "bob", "eve", "joe", "mia", "tom", "una", "zoe"}, deeds: make([]atomic.Int64, len(deeds))}
	c.begun = time.Now()
	for range 32 {
		c.keys = append(c.keys, newKey(t))
		c.csrs = append(c.csrs, csrPEM(t, c.keys[len(c.keys)-1], nil))
	}
	for range 16 {
		c.join()
	}
	lasts, seed := 2*time.Second, uint64(time.Now().UnixNano())
	if os.Getenv("BREVET_LONG") != "" {
		lasts = time.Minute
	}
	t.Logf("seed %d", seed)
	end := time.Now().Add(lasts)
	var wait sync.WaitGroup
	for i := range 24 {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			for time.Now().Before(end) && !t.Failed() {
				c.act(random)
			}
		})
	}
	wait.Wait()
	for i, d := range deeds {
		if n := c.deeds[i].Load(); n == 0 {
			t.Errorf("nobody tried %q", d.name)
		} else {
			t.Logf("%6d %s", n, d.name)
		}
	}
	t.Logf("%6d refused", c.refused.Load())
	c.compareWithLog()
}

// act does one deed to one member.
func (c *crowd) act(random *rand.Rand) {
	c.mu.Lock()
	m := c.present[random.IntN(len(c.present))]
	c.mu.Unlock()
	total := 0
	for _, d := range deeds {
		total += d.weight
	}
	n := random.IntN(total)
	for i, d := range deeds {
		if n -= d.weight; n < 0 {
			c.deeds[i].Add(1)
			d.do(c, m)
			return
		}
	}
}

// join registers an agent.
func (c *crowd) join() {
	c.mu.Lock()
	n := len(c.members)
	c.mu.Unlock()
	m := &member{key: newKey(c.t), name: fmt.Sprintf("agent-%d-%d", n, rand.Uint32()), owner: c.owners[n%len(c.owners)]}
	token := c.add(m.name, agents.Change{
		Owner: &m.owner, Scopes: []string{"read"}, Audiences: []string{"https://api.example"}, Keys: []string{publicPEM(c.t, m.key)},
	})
	m.invitations = []string{token}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members, c.present = append(c.members, m), append(c.present, m)
}

// pick returns one that the member holds and that suits, or nil.
func (m *member) pick(suits func(*held) bool) *held {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range 8 {
		if len(m.holdings) == 0 {
			return nil
		}
		// Mostly a late one: those are alive more often.
		i := len(m.holdings) - 1 - rand.IntN(min(len(m.holdings), 1+rand.IntN(20)))
		if h := m.holdings[i]; suits(h) {
			return h
		}
	}
	return nil
}

func isCertificate(h *held) bool { return h.cert != nil }
func isToken(h *held) bool       { return h.token != "" }

// took notes a credential that was answered, or a refusal.
func (c *crowd) took(m *member, r reply, with *held) {
	h := &held{with: with}
	if leaf := r.leaf(c.t); leaf != nil {
		h.cert, h.id = leaf, serial(leaf)
	} else if token := r.token(); token != "" {
		h.token, h.id = token, jti(c.t, token)
	} else {
		c.refusal(r)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holdings = append(m.holdings, h)
}

// refusal notes a refusal; the authority must at least have decided.
func (c *crowd) refusal(r reply) {
	c.refused.Add(1)
	if r.status >= 500 || r.status == http.StatusTooManyRequests {
		c.t.Errorf("%d %s", r.status, r.body)
	}
}

func (c *crowd) csr() string { return c.csrs[rand.IntN(len(c.csrs))] }

func (c *crowd) renewOne(m *member) {
	with := m.pick(isCertificate)
	if with == nil {
		return
	}
	ended := with.ended()
	got := c.postJSON(c.agents, "/v1/certificates", map[string]string{"csr": c.csr()}, with.cert)
	if ended && got.status == http.StatusOK {
		c.t.Errorf("%s was revoked and renewed", with.id)
	}
	c.took(m, got, nil)
}

func (c *crowd) mintByCertificate(m *member) {
	with := m.pick(isCertificate)
	if with == nil {
		return
	}
	ended := with.ended()
	got := c.postForm(oauth.TokenPath, wantToken(url.Values{}), with.cert)
	if ended && got.status == http.StatusOK {
		c.t.Errorf("%s was revoked and obtained a token", with.id)
	}
	c.took(m, got, with)
}

func (c *crowd) mintByKey(m *member) {
	c.took(m, c.postForm(oauth.TokenPath, wantToken(c.byAssertion(m.name, m.key)), nil), nil)
}

func (c *crowd) introspectOne(m *member) {
	token := m.pick(isToken)
	if token == nil {
		return
	}
	if ended := token.ended(); c.active(token.token) && ended {
		c.t.Errorf("%s was revoked and is active", token.id)
	}
}

func (c *crowd) askOne(m *member) {
	h := m.pick(isCertificate)
	if h == nil {
		return
	}
	if ended := h.ended(); c.good(h.cert) && ended {
		c.t.Errorf("%s was revoked and is good by OCSP", h.id)
	}
}

func (c *crowd) issueOne(m *member) {
	c.took(m, c.postJSON(c.operators, "/agents/"+m.name+"/certificates", map[string]string{"csr": c.csr()}, nil), nil)
}

func (c *crowd) enrollOne(m *member) {
	m.mu.Lock()
	token := m.invitations[len(m.invitations)-1-rand.IntN(min(len(m.invitations), 2))]
	m.mu.Unlock()
	c.took(m, c.postJSON(c.agents, "/v1/enroll", map[string]string{"token": token, "csr": c.csr()}, nil), nil)
}

func (c *crowd) reenrollOne(m *member) {
	got := c.postJSON(c.operators, "/agents/"+m.name+"/reenroll", nil, nil)
	token := invitedToken(got)
	if token == "" {
		c.refusal(got)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.invitations = append(m.invitations, token)
}

// end does what ends all that the members hold. Credentials handed out before
// it began are dead when it has succeeded.
func (c *crowd) end(ms []*member, suits func(*held) bool, do func() reply) bool {
	var before []*held
	for _, m := range ms {
		m.mu.Lock()
		before = append(before, m.holdings...)
		m.mu.Unlock()
	}
	got := do()
	if got.status != http.StatusOK {
		c.refusal(got)
		return false
	}
	for _, h := range before {
		if suits(h) {
			h.dead.Store(true)
		}
	}
	return true
}

func everything(*held) bool { return true }

func (c *crowd) suspendOne(m *member) {
	c.end([]*member{m}, everything, func() reply { return c.postJSON(c.operators, "/agents/"+m.name+"/suspend", nil, nil) })
}

func (c *crowd) resumeOne(m *member) {
	if got := c.postJSON(c.operators, "/agents/"+m.name+"/resume", nil, nil); got.status != http.StatusOK {
		c.refusal(got)
	}
}

func (c *crowd) decommissionOne(m *member) {
	if c.end([]*member{m}, everything, func() reply { return c.postJSON(c.operators, "/agents/"+m.name+"/decommission", nil, nil) }) {
		c.mu.Lock()
		c.present = slices.DeleteFunc(c.present, func(o *member) bool { return o == m })
		c.mu.Unlock()
		c.join()
	}
}

func (c *crowd) revokeAgent(m *member) {
	c.end([]*member{m}, everything, func() reply { return c.postJSON(c.operators, "/revoke", map[string]string{"agent": m.name}, nil) })
}

func (c *crowd) revokeOwner(m *member) {
	c.mu.Lock()
	all := slices.DeleteFunc(slices.Clone(c.members), func(o *member) bool { return o.owner != m.owner })
	c.mu.Unlock()
	c.end(all, everything, func() reply { return c.postJSON(c.operators, "/revoke", map[string]string{"owner": m.owner}, nil) })
}

func (c *crowd) revokeCertificate(m *member) { c.revokeSingle(m, "/certificates/", isCertificate) }
func (c *crowd) revokeToken(m *member)       { c.revokeSingle(m, "/tokens/", isToken) }

func (c *crowd) revokeSingle(m *member, path string, suits func(*held) bool) {
	one := m.pick(suits)
	if one == nil {
		return
	}
	c.end([]*member{m}, func(h *held) bool { return h == one }, func() reply {
		return c.postJSON(c.operators, path+one.id+"/revoke", nil, nil)
	})
}

// publishList publishes and checks that every certificate whose end was
// acknowledged before is on the list, and that numbers rise.
func (c *crowd) publishList(*member) {
	var dead []*held
	c.mu.Lock()
	number := c.number
	for _, m := range c.members {
		m.mu.Lock()
		for _, h := range m.holdings {
			if h.cert != nil && h.dead.Load() {
				dead = append(dead, h)
			}
		}
		m.mu.Unlock()
	}
	c.mu.Unlock()
	lists, err := c.authority.CRL.Publish(context.Background())
	if err != nil {
		c.t.Error("publishing: ", err)
		return
	}
	list, err := x509.ParseRevocationList(lists[0].DER)
	if err != nil {
		c.t.Error("parsing the CRL: ", err)
		return
	}
	listed := map[string]bool{}
	for _, e := range list.RevokedCertificateEntries {
		listed[fmt.Sprintf("%040x", e.SerialNumber)] = true
	}
	for _, h := range dead {
		if !listed[h.id] {
			c.t.Errorf("%s was revoked and is not on CRL %d", h.id, list.Number)
		}
	}
	if lists[0].Number <= number {
		c.t.Errorf("CRL %d follows CRL %d", lists[0].Number, number)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number = max(c.number, lists[0].Number)
}

// TestWhatIsIssuedDuringARevocationDies: an operator's word was given at one
// instant and is committed at a later one. Credentials issued between them
// are in the log before the word, and die by it.
func TestWhatIsIssuedDuringARevocationDies(t *testing.T) {
	for path, doc := range map[string]any{"/agents/bot/suspend": nil, "/agents/bot/decommission": nil, "/revoke": map[string]string{"agent": "bot"}} {
		t.Run(path, func(t *testing.T) {
			a := newAuthority(t)
			token := a.add("bot", agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}})
			first := a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": token, "csr": csrPEM(t, newKey(t), nil)}, nil).leaf(t)
			var between *x509.Certificate
			var bound string
			a.afterNow = func() {
				a.set(a.now().Add(time.Millisecond))
				between = a.postJSON(a.agents, "/v1/certificates", map[string]string{"csr": csrPEM(t, newKey(t), nil)}, first).leaf(t)
				bound = a.postForm(oauth.TokenPath, wantToken(url.Values{}), between).token()
			}
			receipt := a.operate("POST", path, doc)
			if between == nil || bound == "" {
				t.Fatal("nothing was issued meanwhile")
			}
			if receipt.json["certificates"] != 2.0 || receipt.json["tokens"] != 1.0 {
				t.Errorf("the receipt is %s, want 2 certificates and a token", receipt.body)
			}
			if listed := a.revokedSerials(); !listed[serial(first)] || !listed[serial(between)] {
				t.Error("the CRL does not list both certificates")
			}
			if path == "/agents/bot/suspend" {
				a.operate("POST", "/agents/bot/resume", nil)
			}
			if a.renewable(between) || a.active(bound) {
				t.Error("what was issued meanwhile is alive")
			}
		})
	}
}

// A history is what the audit log alone tells.
type history struct {
	states  map[string]agents.State
	pending map[string]bool            // an enrollment token may be used
	alive   map[string]map[string]bool // by agent, then by credential: whether nothing ended it
	owner   map[string]string          // known from elsewhere: the log does not say what was set
}

// compareWithLog rebuilds from the log which credentials exist, which are
// alive and how the agents are, and compares that with every view.
func (c *crowd) compareWithLog() {
	h := &history{states: map[string]agents.State{}, pending: map[string]bool{}, alive: map[string]map[string]bool{}, owner: map[string]string{}}
	bound := map[string]*held{} // the log does not say to what a token is bound
	answered := map[string]*held{}
	for _, m := range c.members {
		h.owner[m.name] = m.owner
		for _, x := range m.holdings {
			answered[x.id] = x
			if x.with != nil {
				bound[x.id] = x.with
			}
		}
	}
	for _, e := range c.log(0) {
		if e.Decision == audit.Allow {
			h.play(e)
		}
	}
	listed := c.revokedSerials()
	checked, dead := 0, 0
	for agent, credentials := range h.alive {
		for id, alive := range credentials {
			x := answered[id]
			if agent == string(agents.Authority) {
				continue
			}
			if x == nil {
				c.t.Errorf("the log has %s of %s, which nobody was given", id, agent)
				continue
			}
			delete(answered, id)
			if w := bound[id]; w != nil {
				alive = alive && h.alive[agent][w.id]
			}
			checked++
			if !alive {
				dead++
			}
			switch {
			case x.cert != nil && c.renewable(x.cert) != alive:
				c.t.Errorf("certificate %s of %s authenticates: %t; by the log %t", id, agent, !alive, alive)
			case x.cert != nil && listed[id] == alive:
				c.t.Errorf("certificate %s of %s (%s) is on the CRL: %t; by the log it is alive: %t", id, agent, h.states[agent], listed[id], alive)
			case x.cert != nil && c.good(x.cert) != alive:
				c.t.Errorf("certificate %s of %s is good by OCSP: %t; by the log %t", id, agent, !alive, alive)
			case x.cert == nil && c.active(x.token) != alive:
				c.t.Errorf("token %s of %s is active: %t; by the log %t", id, agent, !alive, alive)
			}
		}
	}
	for id := range answered {
		c.t.Errorf("%s was given and is not in the log", id)
	}
	c.t.Logf("%d credentials, %d of them dead", checked, dead)
	c.compareRegistry(h)
}

// play applies an event that was allowed.
func (h *history) play(e audit.Event) {
	switch who := e.Subject; e.Action {
	case "agent.add":
		h.states[who], h.pending[who] = agents.Active, true
	case "agent.reenroll":
		h.pending[who] = true
	case "certificate.issue", "token.mint":
		if h.alive[who] == nil {
			h.alive[who] = map[string]bool{}
		}
		h.alive[who][e.Credential] = true
		if slices.Equal(e.Reasons, []string{"enrollment token"}) {
			h.pending[who] = false
		}
	case "certificate.revoke", "token.revoke":
		for _, all := range h.alive {
			if _, ok := all[e.Credential]; ok {
				all[e.Credential] = false
			}
		}
	case "agent.suspend":
		h.states[who], h.pending[who] = agents.Suspended, false
		endAll(h.alive[who])
	case "agent.resume":
		h.states[who] = agents.Active
	case "agent.decommission":
		h.states[who], h.pending[who] = agents.Decommissioned, false
		endAll(h.alive[who])
	case "credential.revoke":
		owner, byOwner := strings.CutPrefix(who, "owner ")
		chosen := func(agent string) bool { return agent == who || byOwner && h.owner[agent] == owner }
		for agent, all := range h.alive {
			if chosen(agent) {
				endAll(all)
			}
		}
		for agent := range h.pending { // what was not used yet ends, too
			if chosen(agent) && e.Reasons[0] != "superseded" {
				h.pending[agent] = false
			}
		}
	}
}

// endAll lets all credentials end.
func endAll(all map[string]bool) {
	for id := range all {
		all[id] = false
	}
}

// compareRegistry compares the agents and the records with the history.
func (c *crowd) compareRegistry(h *history) {
	c.update(func(tx storage.Tx) error {
		for a, err := range agents.All(tx) {
			if err != nil {
				return err
			}
			name := string(a.Name)
			if a.Name != agents.Authority && (a.State != h.states[name] || (a.Pending != nil) != h.pending[name]) {
				c.t.Errorf("%s is %s, may enroll: %t; by the log %s, %t", name, a.State, a.Pending != nil, h.states[name], h.pending[name])
			}
		}
		return nil
	})
	for agent, ids := range c.holdings() {
		for _, id := range ids {
			if _, ok := h.alive[agent][id]; !ok {
				c.t.Errorf("%s of %s is on record and not in the log", id, agent)
			}
		}
		if len(ids) != len(h.alive[agent]) {
			c.t.Errorf("%s: %d credentials on record, %d in the log", agent, len(ids), len(h.alive[agent]))
		}
	}
}
