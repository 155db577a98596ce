package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"

	"github.com/brevet-ca/brevet/tokens/oauth"
)

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

func isToken(h *held) bool { return h.token != "" }

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

func (c *crowd) revokeToken(m *member) { c.revokeSingle(m, "/tokens/", isToken) }

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
