package crash_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/servertest"
)

// sawNumber notes the number of a list that was served. It returns the
// greatest seen before.
func (w *crashWorld) sawNumber(issuer string, n int64) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.numbers[issuer]
	w.numbers[issuer] = max(before, n)
	return before
}

// auditor keeps checkpoints of the audit log, and fetches lists.
func (l *load) auditor() {
	public := &http.Client{Transport: new(http.Transport), Timeout: servertest.Patience}
	defer public.CloseIdleConnections()
	for !l.over() {
		proof, err := l.admin.Prove(l.ctx(), 0)
		if l.lost("fetching a checkpoint", err) {
			return
		}
		l.saw("change")
		var doc struct{ Checkpoint string }
		if l.garbled("proof", json.Unmarshal(proof, &doc)) {
			return
		}
		l.mu.Lock()
		l.checkpoint = doc.Checkpoint
		l.checkpoints = append(l.checkpoints, doc.Checkpoint)
		l.mu.Unlock()

		list, err := l.admin.CRL(l.ctx(), "")
		if l.lost("asking for the CRL", err) {
			return
		}
		least := l.sawNumber(list.Issuer, list.Number)
		got, err := get(public, l.http+ca.CRLPath(list.Issuer))
		if l.lost("fetching the CRL", err) {
			return
		}
		l.saw("change")
		n, err := strconv.ParseInt(strings.Trim(got.header.Get("ETag"), `"`), 10, 64)
		if l.garbled("CRL", err) {
			return
		}
		l.sawNumber(list.Issuer, n)
		if n < max(least, list.Number) {
			l.fail("CRL %d was served after CRL %d", n, max(least, list.Number))
		}
		time.Sleep(time.Millisecond)
	}
}

// introspector is a resource server that asks about tokens.
func (l *load) introspector(random *rand.Rand) {
	for !l.over() {
		l.mu.Lock()
		var c *credential
		if n := len(l.credentials); n > 0 {
			c = l.credentials[n-1-random.IntN(min(n, 300))]
		}
		l.mu.Unlock()
		if c == nil || c.token == "" {
			time.Sleep(100 * time.Microsecond)
			continue
		}
		l.introspect(c)
	}
}

// introspect asks about a token, and judges the answer. It reports whether
// there was one.
func (l *load) introspect(c *credential) bool {
	at := l.begin(c.agent)
	l.mu.Lock()
	before := c.fate()
	l.mu.Unlock()
	got, err := post(l.api.http, l.url+"/oauth/introspect", "application/x-www-form-urlencoded", url.Values{"token": {c.token}}.Encode())
	if l.lost("introspecting", err) {
		return false
	}
	var answer struct{ Active bool }
	if got.status != http.StatusOK {
		if !l.over() {
			l.fail("introspection: %s", got)
		}
		return false
	}
	if l.garbled("introspection", json.Unmarshal(got.body, &answer)) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count["introspection"]++
	switch {
	case before == dead && answer.Active:
		l.fail("token %s of %s, received in round %d, is active although its end was answered", c.id, c.agent.name, c.round)
	case before == alive && c.fate() == alive && at.undisturbed() && !answer.Active && time.Until(c.id.Expires()) > time.Second:
		l.fail("token %s of %s, received in round %d, is not active although nobody ended it", c.id, c.agent.name, c.round)
	}
	return true
}
