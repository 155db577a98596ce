package crash_test

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// renew asks for the agent's next certificate.
func (l *load) renew(a *crashAgent) {
	request, err := a.csr()
	if l.lost("making a request", err) {
		return
	}
	at := l.begin(a)
	body, _ := json.Marshal(map[string]string{"csr": request})
	got, err := post(a.http, l.url+"/v1/certificates", "application/json", string(body))
	if l.lost("renewing", err) || l.refused(at, true, "renewal", got) {
		return
	}
	l.saw("credential")
	c, err := a.parseIssued(got.body)
	if !l.garbled("renewal", err) {
		l.receive(at, c)
	}
}

// token asks for a token, with what proves who the agent is if its connection
// does not.
func (l *load) token(a *crashAgent, by *http.Client, proof url.Values) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}
	for k, v := range proof {
		form[k] = v
	}
	at := l.begin(a)
	got, err := post(by, l.url+"/oauth/token", "application/x-www-form-urlencoded", form.Encode())
	if l.lost("asking for a token", err) || l.refused(at, proof == nil, "token", got) {
		return
	}
	l.saw("credential")
	c, thumbprint, err := parseMinted(got.body)
	if l.garbled("token", err) {
		return
	}
	if proof == nil {
		l.mu.Lock()
		c.bound = a.shown
		l.mu.Unlock()
		if c.bound.hash != thumbprint {
			l.fail("token %s is not bound to the certificate that it was asked for with", c.id)
		}
	}
	l.receive(at, c)
}

// garbled reports that an answer that came whole does not make sense.
func (l *load) garbled(what string, err error) bool {
	if err != nil {
		l.fail("%s: the answer does not make sense: %v", what, err)
	}
	return err != nil
}

// refused reports whether the agent did not get what it asked for, which must
// be an operator's doing.
func (l *load) refused(at attempt, connection bool, what string, got reply) bool {
	if got.status == http.StatusOK {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count["refusal"]++
	disturbed := !at.undisturbed() || connection && at.agent.shown != nil && at.agent.shown.fate() != alive
	switch {
	case l.over():
	case got.status != http.StatusUnauthorized || !disturbed:
		l.fail("%s of %s, which nobody touched: %s", what, at.agent.name, got)
	}
	at.agent.http.CloseIdleConnections()
	return true
}
