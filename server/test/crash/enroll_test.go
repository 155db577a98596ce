package crash_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// addAgent registers a new agent and enrolls it, or returns nil.
func (l *load) addAgent(c agents.Change) *crashAgent {
	l.mu.Lock()
	l.names++
	name := fmt.Sprintf("agent-%d", l.names)
	l.mu.Unlock()
	a, err := l.newAgent(name)
	if l.lost("making a key", err) {
		return nil
	}
	spki, err := x509.MarshalPKIXPublicKey(a.key.Public())
	if l.lost("encoding a key", err) {
		return nil
	}
	owner := "team"
	c.Owner, c.Keys = &owner, []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))}
	op := operation{"agent.add", name}
	l.request(op)
	invited, err := l.admin.AddAgent(l.ctx(), name, api.Change(c))
	if l.lost("adding an agent", err) {
		return nil // if it is there, nobody has its token
	}
	l.granted(op)
	l.mu.Lock()
	l.agents = append(l.agents, a)
	a.enrolls, a.binding = true, invited.ACME
	l.mu.Unlock()
	if !l.enroll(invitation{a, invited.Enrollment.Token}) {
		l.release(a)
		return nil
	}
	return a
}

// reenroll has the agent enroll again, if it may.
func (l *load) reenroll(a *crashAgent) bool {
	l.mu.Lock()
	if a.state != agents.Active || a.changing || a.unknown || a.enrolls {
		l.mu.Unlock()
		return false
	}
	a.enrolls = true
	l.mu.Unlock()
	op := operation{"agent.reenroll", a.name}
	l.request(op)
	invited, err := l.admin.Reenroll(l.ctx(), a.name)
	if l.lost("enrolling anew", err) {
		l.mu.Lock()
		a.enrolls = false
		l.mu.Unlock()
		return false
	}
	l.granted(op)
	l.mu.Lock()
	a.binding = invited.ACME
	l.mu.Unlock()
	return l.enroll(invitation{a, invited.Enrollment.Token})
}

// enroll uses an enrollment token. Operators leave the agent alone meanwhile,
// so only a crash can keep it from a certificate.
func (l *load) enroll(i invitation) bool {
	at := l.begin(i.agent)
	got, c, err := l.redeem(i)
	if l.lost("enrolling", err) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open = append(l.open, i)
		return false
	}
	if got.status != http.StatusOK {
		if !l.over() {
			l.fail("enrolling %s: %s", i.agent.name, got)
		}
		return false
	}
	l.enrolled(at, i, c)
	return true
}

// redeem sends an enrollment token and returns the answer, and the certificate
// if it has one.
func (l *load) redeem(i invitation) (got reply, c *credential, err error) {
	csr, err := i.agent.csr()
	if err != nil {
		return got, nil, err
	}
	body, err := json.Marshal(map[string]string{"token": i.token, "csr": csr})
	if err != nil {
		return got, nil, err
	}
	i.agent.http.CloseIdleConnections() // the next handshake shows the new certificate
	got, err = post(i.agent.http, l.url+"/v1/enroll", "application/json", string(body))
	if err != nil || got.status != http.StatusOK {
		return got, nil, err
	}
	l.saw("credential")
	i.agent.http.CloseIdleConnections()
	c, err = i.agent.parseIssued(got.body)
	return got, c, err
}

// enrolled notes that a token was used and what it brought.
func (l *load) enrolled(at attempt, i invitation, c *credential) {
	l.receive(at, c)
	l.mu.Lock()
	defer l.mu.Unlock()
	i.agent.enrolls = false
	l.spent = append(l.spent, i.token)
	l.count["enrollment"]++
}
