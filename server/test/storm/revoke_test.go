package storm_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// A flood is an agent that asks for tokens and certificates from several connections at
// once, until something ends it and a little longer.
type flood struct {
	*servertest.Agent
	registered, certified *ecdsa.PrivateKey
	renewal               string

	mu     sync.Mutex
	tokens []string
	ended  atomic.Bool
}

func newFlood(t *testing.T, w *servertest.World, name string) *flood {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	f := &flood{registered: key, Agent: w.Enroll(name, agents.Change{
		Owner: new("owner of " + name), Scopes: []string{"a"}, Audiences: []string{"https://api.example"},
		Keys: []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))},
	})}
	f.certified = f.Key
	renewal, err := json.Marshal(map[string]string{"csr": f.CSR(nil)})
	f.renewal = string(renewal)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// assertion is a token request that is signed by a key.
func (f *flood) assertion(key *ecdsa.PrivateKey) string {
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": f.Name, "sub": f.Name, "aud": f.World.URL, "jti": rand.Text(), "exp": f.World.Clock.Now().Add(time.Minute).Unix(),
	}).SignedString(key)
	if err != nil {
		panic(err)
	}
	return url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {text},
	}.Encode()
}

// ask sends bodies that make makes.
func (f *flood) ask(s *stormer, path, contentType string, make func() string) {
	for late := 0; late < 5; {
		if f.ended.Load() {
			late++
		}
		got, err := s.post(f.World.URL+path, contentType, make())
		var doc struct {
			Token string `json:"access_token"`
		}
		if err != nil || json.Unmarshal(got.body, &doc) != nil || doc.Token == "" {
			continue
		}
		f.mu.Lock()
		f.tokens = append(f.tokens, doc.Token)
		f.mu.Unlock()
	}
}

// run asks in these ways, from two connections each, and ends after a while.
func (f *flood) run(t *testing.T, end func() error, ways ...string) {
	t.Helper()
	var wait sync.WaitGroup
	for _, way := range append(ways, ways...) {
		s := newStormer(t, f.World, nil)
		switch way {
		case "certificate's key", "registered key":
			key := map[string]*ecdsa.PrivateKey{"certificate's key": f.certified, "registered key": f.registered}[way]
			wait.Go(func() { f.ask(s, "/oauth/token", formType, func() string { return f.assertion(key) }) })
		case "mutual TLS":
			s = newStormer(t, f.World, nil, f.Cert)
			wait.Go(func() { f.ask(s, "/oauth/token", formType, func() string { return "grant_type=client_credentials" }) })
		case "renewal":
			s = newStormer(t, f.World, nil, f.Cert)
			wait.Go(func() { f.ask(s, "/v1/certificates", "application/json", func() string { return f.renewal }) })
		}
	}
	servertest.InTime(t, "a flood", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.tokens) < 20 {
			return fmt.Errorf("%d tokens", len(f.tokens))
		}
		return nil
	})
	if err := end(); err != nil {
		t.Error(err)
	}
	f.ended.Store(true)
	wait.Wait()
}

const formType = "application/x-www-form-urlencoded"

// TestNothingOutrunsAnEndInAFlood: while agents ask as fast as they can, by everything
// that an end stops, the log has nothing that they obtained after it. If the end was a
// cutoff, nothing that they hold is alive.
func TestNothingOutrunsAnEndInAFlood(t *testing.T) {
	w := servertest.New(t)
	rs := w.Enroll("rs", agents.Change{Scopes: []string{"brevet:introspect"}})
	byCertificate := []string{"certificate's key", "mutual TLS", "renewal"}
	everything := append(byCertificate, "registered key")
	rounds := 5
	if short {
		rounds = 1
	}
	for what, c := range map[string]struct {
		ways []string
		cuts bool
		end  func(*flood) error
	}{
		"revoke by agent": {byCertificate, true, func(f *flood) error { return f.revoke(api.Selection{Agent: f.Name}) }},
		"revoke by owner": {byCertificate, true, func(f *flood) error { return f.revoke(api.Selection{Owner: "owner of " + f.Name}) }},
		"suspend":         {everything, true, func(f *flood) error { _, err := w.Admin.Suspend(t.Context(), f.Name, ""); return err }},
		"revoke the certificate": {[]string{"certificate's key", "mutual TLS"}, false, func(f *flood) error {
			_, err := w.Admin.RevokeCertificate(t.Context(), f.Serial(), "")
			return err
		}},
		"remove the key": {[]string{"registered key"}, false, func(f *flood) error {
			_, err := w.Admin.SetAgent(t.Context(), f.Name, api.Change{Keys: []string{}})
			return err
		}},
	} {
		for n := range rounds {
			f := newFlood(t, w, fmt.Sprintf("%s-%d", strings.ReplaceAll(what, " ", "-"), n))
			f.run(t, func() error { return c.end(f) }, c.ways...)
			if got := f.afterTheEnd(); got > 0 {
				t.Errorf("%s: the agent obtained %d credentials after it, of %d tokens", what, got, len(f.tokens))
			}
			for _, token := range f.tokens {
				if c.cuts && rs.Introspect(token).JSON["active"] != false {
					t.Errorf("%s: a token is alive", what)
				}
			}
		}
	}
}

func (f *flood) revoke(s api.Selection) error {
	_, err := f.World.Admin.Revoke(context.Background(), s)
	return err
}

// afterTheEnd returns how many credentials the log has that the agent obtained after an
// operator changed something.
func (f *flood) afterTheEnd() (n int) {
	ended := false
	for _, e := range f.World.Events() {
		switch {
		case e.Decision != "allow":
		case (e.Action == "token.mint" || e.Action == "certificate.issue") && e.Subject == f.Name:
			if ended {
				n++
			}
		case strings.HasPrefix(e.Actor, "uid=") && e.Action != "agent.add":
			ended = ended || strings.HasSuffix(e.Subject, f.Name) || e.Credential == f.Serial()
		}
	}
	return n
}
