package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A refusing engine refuses whatever it is asked, and remembers what that was.
type refusing struct {
	mu    sync.Mutex
	asked map[audit.Action]policy.Query
}

func (e *refusing) Decide(_ context.Context, q *policy.Query, _ *agents.Facts) (policy.Decision, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked[q.Action] = *q
	return policy.Decision{Effect: audit.Deny, Reasons: []string{"freeze"}}, nil
}

// what returns what the engine was asked of an action, if it was.
func (e *refusing) what(a audit.Action) (policy.Query, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, ok := e.asked[a]
	return q, ok
}

// TestExternalEngineIsAskedByEachPart of the server, and knows from where each
// request comes. The server itself starts and gets its certificate without it.
func TestExternalEngineIsAskedByEachPart(t *testing.T) {
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}})
	other := w.Add("other", agents.Change{})
	e := &refusing{asked: map[audit.Action]policy.Query{}}
	w.Stop()
	w.Start(func(c *server.Config) { c.External = []policy.Engine{e} })

	open := func() error {
		mac := must1(base64.RawURLEncoding.DecodeString(other.ACME.MACKey))(t)
		key := must1(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
		c := &acme.Client{Key: key, HTTPClient: w.Client(), DirectoryURL: w.URL + "/acme/directory"}
		_, err := c.Register(t.Context(), &acme.Account{ExternalAccountBinding: &acme.ExternalAccountBinding{KID: other.ACME.KeyID, Key: mac}}, acme.AcceptTOS)
		return err
	}
	for action, c := range map[audit.Action]struct {
		peer string
		try  func() error
	}{
		audit.CertificateIssue:  {"127.0.0.1", func() error { return bot.Renew().Is(http.StatusOK) }},
		audit.TokenMint:         {"127.0.0.1", func() error { return bot.Token(url.Values{}).Is(http.StatusOK) }},
		audit.ACMEAccountCreate: {"127.0.0.1", open},
		audit.AgentSet:          {"", func() error { return only(w.Admin.SetAgent(t.Context(), "bot", api.Change{Owner: new("eve")})) }},
		audit.KeyAnnounce:       {"", func() error { return only(w.Admin.RotateKey(t.Context(), "tokens")) }},
		audit.KeyRotate:         {"", func() error { return only(w.Admin.RotateKeyNow(t.Context(), "tokens", "")) }},
	} {
		if c.try() == nil {
			t.Errorf("%s was allowed", action)
		}
		asked, ok := e.what(action)
		if !ok || asked.Peer != c.peer || len(asked.Request) != 16 {
			t.Errorf("%s: the engine was asked %t, from %q by request %q; want from %q", action, ok, asked.Peer, asked.Request, c.peer)
		}
		if all := denied(w, string(action)); len(all) != 1 || all[0].Details == nil || all[0].Details.Peer != c.peer || all[0].Request != asked.Request {
			t.Errorf("%s: recorded is %+v", action, all)
		}
	}
	if err := only(w.Admin.RevokeCertificate(t.Context(), bot.Serial(), "")); err != nil {
		t.Errorf("a revocation: %v", err)
	}
	for _, action := range []audit.Action{audit.ServerStart, audit.CertificateRevoke} {
		if _, ok := e.what(action); ok {
			t.Errorf("the engine was asked about %s", action)
		}
	}
}

// only returns the error of a call whose answer does not matter.
func only[T any](_ T, err error) error { return err }
