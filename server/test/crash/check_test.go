package crash_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/servertest"
)

// checkServer asks a server that has just started, before anybody else does,
// whether it stands by what its predecessors answered.
func (w *crashWorld) checkServer() {
	w.t.Helper()
	l := &load{crashWorld: w}
	w.checkStates()
	w.checkLists()
	for _, i := range w.open {
		l.checkOpen(i)
	}
	w.open = nil
	for range min(3, len(w.spent)) {
		l.checkSpent(w.spent[w.latest(len(w.spent))])
	}
	w.api.http.CloseIdleConnections()
	if time.Until(w.api.current.id.Expires()) < 3*time.Minute {
		l.renew(w.api)
	}
	for range min(8, len(w.dead)) {
		l.checkDead(w.dead[w.latest(len(w.dead))])
	}
	for range min(3, len(w.ended)) {
		l.checkEnded(w.ended[w.latest(len(w.ended))])
	}
	for range min(4, len(w.credentials)) {
		l.checkAlive(w.credentials[w.latest(len(w.credentials))])
	}
}

// latest chooses one of n, and mostly one of the last.
func (w *crashWorld) latest(n int) int {
	if w.random.IntN(4) == 0 {
		return w.random.IntN(n)
	}
	return n - 1 - w.random.IntN(min(n, 20))
}

// checkLists fetches the CRL of each issuer: its number is greater than any
// seen before the crash, and it has what must be revoked and nothing that
// nobody revoked.
func (w *crashWorld) checkLists() {
	w.t.Helper()
	public := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: servertest.Patience}
	for _, issuer := range slices.Sorted(maps.Keys(w.numbers)) {
		got, err := get(public, w.http+ca.CRLPath(issuer))
		w.must("fetching the CRL", err)
		list, err := x509.ParseRevocationList(got.body)
		w.must("reading the CRL", err)
		before := w.sawNumber(issuer, list.Number.Int64())
		if n := list.Number.Int64(); n <= before {
			w.fail("the first CRL has number %d, and %d was seen before the crash", n, before)
		}
		listed := map[agents.CredentialID]bool{}
		for _, e := range list.RevokedCertificateEntries {
			var id agents.CredentialID
			e.SerialNumber.FillBytes(id[:])
			listed[id] = true
		}
		w.checkListed(listed, issuer, list.ThisUpdate)
	}
}

func (w *crashWorld) checkListed(listed map[agents.CredentialID]bool, issuer string, at time.Time) {
	for _, c := range w.credentials {
		switch {
		case c.token != "" || fmt.Sprintf("%x", c.cert.Leaf.AuthorityKeyId) != issuer || !c.id.Expires().After(at.Add(time.Second)):
		case c.own == dead && !listed[c.id]:
			w.fail("certificate %s of %s, received in round %d, is not on the CRL although its end was answered", c.id, c.agent.name, c.round)
		case c.own == alive && listed[c.id]:
			w.fail("certificate %s of %s, received in round %d, is on the CRL although nobody ended it", c.id, c.agent.name, c.round)
		}
	}
}

// checkStates asks for the state of the agents whose change was not answered.
func (w *crashWorld) checkStates() {
	w.t.Helper()
	for _, a := range w.agents {
		if !a.unknown {
			continue
		}
		now, err := w.admin.Agent(w.ctx(), a.name)
		w.must("asking for agent "+a.name, err)
		w.enters(a, agents.State(now.State))
	}
}

// checkOpen tries an enrollment token whose use was not answered: it works, or
// it was used and brought a certificate that is on record, and which the store
// check will look for in the audit log.
func (l *load) checkOpen(i invitation) {
	l.t.Helper()
	at := l.begin(i.agent)
	got, c, err := l.redeem(i)
	l.must("trying an enrollment token again", err)
	if got.status == http.StatusOK {
		l.count["open token worked"]++
		l.enrolled(at, i, c)
		return
	}
	l.count["open token was used"]++
	i.agent.enrolls = false
	now, err := l.admin.Agent(l.ctx(), i.agent.name)
	l.must("asking for agent "+i.agent.name, err)
	id, err := agents.ParseCredentialID(now.Certificate)
	if got.status != http.StatusUnauthorized || err != nil || l.received[now.Certificate] != nil {
		l.fail("an enrollment token of %s, whose use was not answered, brings %s, and the last certificate on record is %q", i.agent.name, got, now.Certificate)
		return
	}
	if _, err := l.admin.Certificate(l.ctx(), now.Certificate); err != nil {
		l.fail("certificate %s, for which an enrollment token was used: %v", now.Certificate, err)
	}
	l.store.unseen = append(l.store.unseen, id)
}

// checkSpent tries an enrollment token that was used.
func (l *load) checkSpent(token string) {
	l.t.Helper()
	got, _, err := l.redeem(invitation{l.api, token})
	l.must("trying a used enrollment token", err)
	if got.status != http.StatusUnauthorized {
		l.fail("a used enrollment token brings %s", got)
	}
}

// checkDead tries a credential whose end was answered.
func (l *load) checkDead(c *credential) {
	l.t.Helper()
	if c.token != "" {
		l.introspect(c)
		return
	}
	if got := l.renewBy(c); got.status != http.StatusUnauthorized {
		l.fail("renewal by certificate %s of %s, received in round %d, whose end was answered: %s", c.id, c.agent.name, c.round, got)
	}
}

// checkAlive tries a credential that nobody has ended.
func (l *load) checkAlive(c *credential) {
	l.t.Helper()
	switch {
	case c.fate() != alive || time.Until(c.id.Expires()) < 5*time.Second || c.agent.state != agents.Active || c.agent.unknown:
	case c.token != "":
		l.introspect(c)
	default:
		at := l.begin(c.agent)
		got := l.renewBy(c)
		if got.status != http.StatusOK {
			l.fail("renewal by certificate %s of %s, received in round %d, which nobody ended: %s", c.id, c.agent.name, c.round, got)
			return
		}
		next, err := c.agent.parseIssued(got.body)
		if !l.garbled("renewal", err) {
			l.receive(at, next)
		}
	}
}

// renewBy asks for a certificate over a connection of its own.
func (l *load) renewBy(c *credential) reply {
	l.t.Helper()
	by := l.httpsClient(func() *tls.Certificate { return &c.cert })
	defer by.CloseIdleConnections()
	csr, err := c.agent.csr()
	l.must("making a request", err)
	body, err := json.Marshal(map[string]string{"csr": csr})
	l.must("making a request", err)
	got, err := post(by, l.url+"/v1/certificates", "application/json", string(body))
	l.must("renewing", err)
	return got
}
