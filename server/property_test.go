package server

import (
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
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
