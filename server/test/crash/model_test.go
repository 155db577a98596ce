package crash_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"net/http"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// A fate is what is known of a credential or token from answers alone.
type fate int

const (
	alive  fate = iota // nobody has asked for its end
	unsure             // somebody has, and no answer came
	dead               // its end was answered
)

// A credential is one that a client received in a complete answer.
type credential struct {
	id    agents.CredentialID
	agent *crashAgent
	hash  [32]byte        // SHA-256 of the certificate or token
	cert  tls.Certificate // if it is one
	token string          // else
	bound *credential     // the certificate that a token is bound to
	round int             // when it was received
	own   fate
}

// fate is that of the credential and of what it is bound to.
func (c *credential) fate() fate {
	if c.bound != nil {
		return max(c.own, c.bound.own)
	}
	return c.own
}

func (c *credential) expired() bool { return !time.Now().Before(c.id.Expires()) }

func (c *credential) kind() string {
	if c.token != "" {
		return "token"
	}
	return "certificate"
}

// A crashAgent is a registered agent and its client. A goroutine that took it from
// the world's idle ones uses the client alone; the rest is under the world's mu.
type crashAgent struct {
	name  string
	key   *ecdsa.PrivateKey
	http  *http.Client
	shown *credential // the certificate that its connection was opened with

	opening  *crashAccount // an ACME account that was asked for, of the client that uses the agent
	state    agents.State
	current  *credential // the last certificate received
	held     []*credential
	binding  api.ACMEKey   // a key that an account can be opened with
	account  *crashAccount // that nobody has ended
	epoch    int           // counts the beginnings and ends of operators' changes
	changing bool          // an operator is at it
	enrolls  bool          // operators leave it alone meanwhile
	unknown  bool          // a change was not answered: the state may be another
}

// An attempt is a request of an agent's under way.
type attempt struct {
	agent *crashAgent
	epoch int
	calm  bool // no operator was changing the agent when it began
}

// begin notes that the agent is about to ask for something.
func (w *crashWorld) begin(a *crashAgent) attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	return attempt{a, a.epoch, !a.changing && a.state == agents.Active}
}

// undisturbed reports whether no operator touched the agent since the attempt
// began: then its outcome can be foretold. The caller holds mu.
func (at attempt) undisturbed() bool { return at.calm && at.epoch == at.agent.epoch }

// receive notes a credential that the attempt brought. One that comes while
// the agent stands suspended was issued before that, and died with the rest:
// nothing is issued to a suspended agent.
func (w *crashWorld) receive(at attempt, c *credential) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.agent, c.round = at.agent, w.round
	if c.token == "" {
		at.agent.current = c
	}
	at.agent.held = append(at.agent.held, c)
	w.credentials = append(w.credentials, c)
	if w.received[c.id.String()] != nil {
		w.fail("credential %s was issued twice", c.id)
	}
	w.received[c.id.String()] = c
	w.count[c.kind()]++
	switch {
	case over(at.agent.state):
		w.bury(c)
	case !at.undisturbed():
		c.own = unsure
	}
}

// bury notes that a credential is dead and stays so. The caller holds mu.
func (w *crashWorld) bury(c *credential) {
	if c.own != dead {
		c.own = dead
		w.dead = append(w.dead, c)
	}
}

// beginChange notes that an operator is about to change an agent. The caller
// holds mu.
func (a *crashAgent) beginChange() {
	a.epoch++
	a.changing = true
	a.held = slices.DeleteFunc(a.held, func(c *credential) bool { return c.own == dead || c.expired() })
}

// doubt notes that credentials are about to be ended.
func (w *crashWorld) doubt(all ...*credential) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range all {
		c.own = max(c.own, unsure)
	}
}

// endChange notes that the change was answered: the agent is in a state now,
// and what is given has ended.
func (w *crashWorld) endChange(a *crashAgent, state agents.State, ended []*credential) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.epoch++
	a.changing = false
	w.enters(a, state)
	for _, c := range ended {
		w.bury(c)
	}
}

// loseChange notes that no answer came.
func (w *crashWorld) loseChange(a *crashAgent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.epoch++
	a.changing = false
	a.unknown = true
}

// enters notes the state that the agent is in. A credential received
// before the answer to a suspension was issued before it. The caller holds mu.
func (w *crashWorld) enters(a *crashAgent, state agents.State) {
	a.state, a.unknown = state, false
	if !over(state) {
		return
	}
	for _, c := range a.held {
		w.bury(c)
	}
	a.held = nil
}

// resuming is the state of an agent that an operator is about to resume.
const resuming = agents.State("resuming")

func over(s agents.State) bool { return s == agents.Suspended || s == agents.Decommissioned }
