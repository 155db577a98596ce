package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

// The dimensions of the test: how an agent asks for a credential, what state
// it is in, and what was cut off as of when.
var (
	modelPaths = []string{
		"enroll", "enroll anew", "renew", "cert issue", "token by certificate", "token by the certificate's key", "token by a registered key",
	}
	modelStates = []string{"active", "suspended", "decommissioned", "expired", "extended", "resumed"}
	modelKinds  = []string{"credential", "agent", "owner", "issuer", "token key"}
	modelTimes  = []string{"before", "at issuance", "past", "now", "future"}
)

// instants of the test. The credentials that an agent holds beforehand were issued at dawn.
var (
	changedAt = dawn.Add(time.Minute)     // when the agent came into its state
	askedAt   = dawn.Add(2 * time.Minute) // when everything is asked
	cutAt     = map[string]time.Time{
		"before": dawn.Add(-1), "at issuance": dawn, "past": dawn.Add(30 * time.Second), "now": askedAt, "future": askedAt.Add(time.Hour),
	}
)

// A situation is one case of the test.
type situation struct{ path, state, kind, time string }

// The reference model. A credential was issued at an instant by an issuing key
// or, if it is a token, by the token key.
func (s situation) usable() bool {
	return s.state == "active" || s.state == "resumed" || s.state == "extended"
}

func (s situation) dead(issued time.Time, token bool) bool {
	covered := s.kind == "agent" || s.kind == "owner" || s.kind == "issuer" && !token || s.kind == "token key" && token
	return s.kind == "credential" && issued.Equal(dawn) ||
		covered && !cutAt[s.time].Before(issued) ||
		s.state != "active" && !changedAt.Before(issued) // whatever happened to the agent
}

func (s situation) allowed() bool {
	token := strings.HasPrefix(s.path, "token")
	byCertificate := s.path == "renew" || s.path == "token by certificate" || s.path == "token by the certificate's key"
	return s.usable() && !(s.path == "enroll" && s.state == "resumed") && // a suspension ends the invitation too
		!(byCertificate && s.dead(dawn, false)) && !s.deadNow(token)
}

// deadNow is dead for what is issued now: nothing has cut it off by itself.
func (s situation) deadNow(token bool) bool { return s.kind != "credential" && s.dead(askedAt, token) }

// A subject is an agent in its situation, with all that it holds.
type subject struct {
	situation
	name          string
	key, register *ecdsa.PrivateKey
	cert          *x509.Certificate
	bound, bearer string // access tokens
	first, anew   string // enrollment tokens

	got  reply
	made string // the identifier of the credential in it
}

// TestEveryPathInEveryState compares what the authority decides on every path
// that makes a credential, in every state of the agent and for every cutoff,
// with a model of ten lines; and so what it says of the credentials that are
// there already.
func TestEveryPathInEveryState(t *testing.T) {
	cases, instants := 0, modelTimes
	if os.Getenv("BREVET_LONG") == "" {
		instants = []string{"at issuance", "now"} // the limits
	}
	for _, kind := range append([]string{""}, modelKinds...) {
		times := instants
		if kind == "" {
			times = []string{""}
		}
		if kind != "issuer" && kind != "token key" {
			a := newAuthority(t)
			cases += a.tryAll(kind, times...)
			continue
		}
		for _, at := range times { // these two are everybody's: one cutoff an authority
			a := newAuthority(t)
			cases += a.tryAll(kind, at)
		}
	}
	t.Logf("%d situations", cases)
}

func (a *world) tryAll(kind string, times ...string) int {
	var all []*subject
	for _, path := range modelPaths {
		for _, state := range modelStates {
			for _, at := range times {
				s := &subject{situation: situation{path, state, kind, at}, name: fmt.Sprintf("agent-%d", len(all))}
				all = append(all, s)
			}
		}
	}
	a.set(dawn)
	atOnce(all, a.equip)
	a.set(changedAt)
	atOnce(all, a.bring)
	a.set(askedAt)
	listed := a.revokedSerials()
	atOnce(all, func(s *subject) { a.checkHoldings(s, listed) })
	size, before := a.authority.Events(), a.holdings()
	atOnce(all, a.request)
	events, after := map[string][]audit.Event{}, a.holdings()
	for _, e := range a.log(size) {
		events[e.Subject] = append(events[e.Subject], e)
	}
	for _, s := range all {
		a.checkVerdict(s)
		a.checkRecords(s, before[s.name], after[s.name], events[s.name])
	}
	return len(all)
}

// equip registers the agent, lets it obtain one credential of each kind, and
// gives it an end if it is to have one.
func (a *world) equip(s *subject) {
	a.t.Helper()
	s.key, s.register = newKey(a.t), newKey(a.t)
	token := a.add(s.name, agents.Change{
		Owner: new("owner of " + s.name), Scopes: []string{"read"}, Audiences: []string{"https://api.example"}, Keys: []string{publicPEM(a.t, s.register)},
	})
	s.cert = a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": token, "csr": csrPEM(a.t, s.key, nil)}, nil).leaf(a.t)
	s.bound = a.postForm(oauth.TokenPath, wantToken(url.Values{}), s.cert).token()
	s.bearer = a.postForm(oauth.TokenPath, wantToken(a.byAssertion(s.name, s.register)), nil).token()
	s.first = invitedToken(a.operate("POST", "/agents/"+s.name+"/reenroll", nil))
	if s.cert == nil || s.bound == "" || s.bearer == "" || s.first == "" {
		a.t.Errorf("%+v cannot be equipped", s.situation)
	}
	if s.state == "expired" || s.state == "extended" {
		a.operate("PATCH", "/agents/"+s.name, agents.Change{Expires: &changedAt})
	}
}

// bring brings the agent into its situation.
func (a *world) bring(s *subject) {
	a.t.Helper()
	switch s.state {
	case "suspended", "resumed":
		a.operate("POST", "/agents/"+s.name+"/suspend", nil)
	case "decommissioned":
		a.operate("POST", "/agents/"+s.name+"/decommission", nil)
	}
	switch s.state {
	case "resumed":
		a.operate("POST", "/agents/"+s.name+"/resume", nil)
	case "extended":
		a.operate("PATCH", "/agents/"+s.name, agents.Change{Expires: &time.Time{}})
	}
	if s.path == "enroll anew" {
		s.anew = invitedToken(a.postJSON(a.operators, "/agents/"+s.name+"/reenroll", nil, nil))
	}
	a.update(func(tx storage.Tx) error { return a.cut(tx, s) })
}

func (a *world) cut(tx storage.Tx, s *subject) error {
	c := agents.Cutoff{At: cutAt[s.time], Reason: agents.Superseded}
	switch s.kind {
	case "credential":
		if s.state != "active" && s.state != "expired" {
			return nil // it is dead, and nothing dies twice
		}
		for _, id := range []string{serial(s.cert), jti(a.t, s.bound), jti(a.t, s.bearer)} {
			parsed, err := agents.ParseCredentialID(id)
			if err != nil {
				return err
			}
			c.At = min2(c.At, parsed.Expires().Add(-1))
			if err := agents.Revoke(tx, agents.Credential{ID: parsed, Agent: agents.Name(s.name), IssuedAt: dawn}, c); err != nil {
				return err
			}
		}
	case "agent":
		return agents.CutAgent(tx, agents.Name(s.name), c)
	case "owner":
		return agents.CutOwner(tx, "owner of "+s.name, c)
	case "issuer":
		return agents.CutIssuer(tx, a.authority.CA.Issuer().ID, c)
	case "token key":
		k, err := keys.Active(tx, keys.Tokens)
		if err != nil {
			return err
		}
		return agents.CutIssuer(tx, k.ID, c)
	}
	return nil
}

func min2(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// checkHoldings compares what the views say of the credentials that the agent
// has with the model.
func (a *world) checkHoldings(s *subject, listed map[string]bool) {
	a.t.Helper()
	cert := s.usable() && !s.dead(dawn, false)
	token := s.usable() && !s.dead(dawn, true)
	for what, verdict := range map[string][2]bool{
		"the certificate authenticates":       {a.renewable(s.cert), cert},
		"the certificate is not on the CRL":   {!listed[serial(s.cert)], cert},
		"the certificate is good by OCSP":     {a.good(s.cert), cert},
		"the certificate-bound token is good": {a.active(s.bound), cert && token},
		"the bearer token is good":            {a.active(s.bearer), token},
	} {
		if verdict[0] != verdict[1] {
			a.t.Errorf("%+v: %s: %t, want %t", s.situation, what, verdict[0], verdict[1])
		}
	}
}

// request asks for a credential on the path of the situation.
func (a *world) request(s *subject) {
	csr := csrPEM(a.t, newKey(a.t), nil)
	switch s.path {
	case "enroll":
		s.got = a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": s.first, "csr": csr}, nil)
	case "enroll anew":
		s.got = a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": s.anew, "csr": csr}, nil)
	case "renew":
		s.got = a.postJSON(a.agents, "/v1/certificates", map[string]string{"csr": csr}, s.cert)
	case "cert issue":
		s.got = a.postJSON(a.operators, "/agents/"+s.name+"/certificates", map[string]string{"csr": csr}, nil)
	case "token by certificate":
		s.got = a.postForm(oauth.TokenPath, wantToken(url.Values{}), s.cert)
	case "token by the certificate's key":
		s.got = a.postForm(oauth.TokenPath, wantToken(a.byAssertion(s.name, s.key)), nil)
	case "token by a registered key":
		s.got = a.postForm(oauth.TokenPath, wantToken(a.byAssertion(s.name, s.register)), nil)
	}
	switch leaf := s.got.leaf(a.t); {
	case leaf != nil:
		s.made = serial(leaf)
	case s.got.token() != "":
		s.made = jti(a.t, s.got.token())
	}
}

// checkVerdict compares the verdict on the request with the model.
func (a *world) checkVerdict(s *subject) {
	a.t.Helper()
	if want := s.allowed(); (s.made != "") != want || (s.got.status == http.StatusOK) != want {
		a.t.Errorf("%+v: %d %s, want allowed: %t", s.situation, s.got.status, s.got.body, want)
	}
	if s.made == "" && s.path != "cert issue" && (s.got.status != http.StatusUnauthorized || strings.Contains(s.got.body, s.name)) {
		a.t.Errorf("%+v: the refusal is %d and says %s", s.situation, s.got.status, s.got.body)
	}
}

// checkRecords compares the answer with what stands in the store and in the
// audit log.
func (a *world) checkRecords(s *subject, before, after []string, events []audit.Event) {
	a.t.Helper()
	want := audit.Event{Subject: s.name, Action: "certificate.issue", Decision: audit.Deny, Credential: s.made}
	if strings.HasPrefix(s.path, "token") {
		want.Action = "token.mint"
	}
	if s.made != "" {
		want.Decision = audit.Allow
		before = append(before, s.made)
		slices.Sort(before)
	}
	if !slices.Equal(after, before) {
		a.t.Errorf("%+v: on record are %v, want %v", s.situation, after, before)
	}
	if s.anew == "" && s.path == "enroll anew" {
		return // there was no token to enroll with, and so nothing that concerns the agent
	}
	if len(events) != 1 {
		a.t.Errorf("%+v: %d events, want 1", s.situation, len(events))
		return
	}
	e := events[0]
	if e.Action != want.Action || e.Decision != want.Decision || e.Credential != want.Credential || len(e.Reasons) == 0 {
		a.t.Errorf("%+v: the log says %+v, want %+v and a reason", s.situation, e, want)
	}
}

// holdings returns the identifiers of all that is on record, by agent, sorted.
func (a *world) holdings() map[string][]string {
	held := map[string][]string{}
	err := a.db.View(context.Background(), func(tx storage.Tx) error {
		for c, err := range ca.Since(tx, dawn) {
			if err != nil {
				return err
			}
			held[string(c.Agent)] = append(held[string(c.Agent)], c.ID.String())
		}
		for t, err := range tokens.Since(tx, dawn) {
			if err != nil {
				return err
			}
			held[string(t.Agent)] = append(held[string(t.Agent)], t.ID.String())
		}
		return nil
	})
	if err != nil {
		a.t.Error("reading the records: ", err)
	}
	for _, ids := range held {
		slices.Sort(ids)
	}
	return held
}
