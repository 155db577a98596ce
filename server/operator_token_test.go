package server

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens"
)

// byToken asks at listen_admin with a certificate and a token.
func (a *world) byToken(route string, body any, cert *x509.Certificate, authorization ...string) reply {
	a.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	text, err := json.Marshal(body)
	if err != nil {
		a.t.Fatal(err)
	}
	r := httptest.NewRequest(method, regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "nothing"), strings.NewReader(string(text)))
	r.Header["Authorization"] = authorization
	if len(authorization) == 0 {
		delete(r.Header, "Authorization")
	}
	return a.serve(a.observed(a.door.Handler(a.operatorHandler())), r, "application/json", cert)
}

// operatorToken returns a token that an operator obtained.
func (a *world) operatorToken(cert *x509.Certificate, role string) api.OperatorToken {
	a.t.Helper()
	return decoded[api.OperatorToken](a.t, a.byToken("POST /tokens", api.OperatorTokenRequest{Role: role}, cert))
}

// TestEveryVerbHasItsRoleByToken: a token permits what both its role and the operator's do.
func TestEveryVerbHasItsRoleByToken(t *testing.T) {
	a := newAuthority(t)
	for own := persons.Viewer; own <= persons.Admin; own++ {
		cert := a.loggedIn(own.String(), own)
		for role := persons.Viewer; role <= persons.Admin; role++ {
			got := a.byToken("POST /tokens", api.OperatorTokenRequest{Role: role.String()}, cert)
			if (got.status == http.StatusOK) != own.Covers(role) || got.status != http.StatusOK && got.status != http.StatusForbidden {
				t.Errorf("a token for the role %s, by the role %s: %d %s", role, own, got.status, got.body)
			}
			if got.status != http.StatusOK {
				continue
			}
			token := decoded[api.OperatorToken](t, got).Token
			for route, need := range verbRoles {
				got := a.byToken(route, struct{}{}, cert, "Bearer "+token)
				if refused := got.status == http.StatusForbidden; refused != (!role.Covers(need) || route == api.MintOperatorToken.Route()) || got.status == http.StatusUnauthorized {
					t.Errorf("%s by a token of the role %s, of the role %s: %d %s", route, role, own, got.status, got.body)
				}
			}
		}
	}
	seen := false
	for _, e := range a.log(0) {
		if e.Details != nil && e.Details.Proof == "operator_token" {
			seen = true
			if !strings.HasPrefix(e.Actor, "operator:") || e.Details.Certificate == "" || !strings.Contains(strings.Join(e.Reasons, "; "), "by the operator's token ") {
				t.Errorf("recorded is %+v", e)
			}
		}
	}
	if !seen {
		t.Error("nothing that was done by a token is recorded")
	}
}

// TestOperatorsToken: it is a JWT for the operators' API, bound to the certificate, for 10
// minutes at most, and introspects.
func TestOperatorsToken(t *testing.T) {
	a := newAuthority(t)
	cert := a.loggedIn("alice", persons.Security)
	got := a.operatorToken(cert, "viewer")
	if life := got.Expires.Sub(a.now()); life > 10*time.Minute || life < time.Minute {
		t.Errorf("it lives for %s", life)
	}
	if own := a.operatorToken(cert, ""); own.Role != "security" || own.Scope != "brevet:admin:security" {
		t.Errorf("without a role it is %+v", own)
	}
	if late := a.byToken("POST /tokens", api.OperatorTokenRequest{TTL: "11m"}, cert); late.status != http.StatusBadRequest {
		t.Errorf("for 11 minutes: %d %s", late.status, late.body)
	}
	in := a.operate("POST", "/tokens/introspect", api.IntrospectRequest{Token: got.Token}).json
	bound, _ := in["cnf"].(map[string]any)
	if in["active"] != true || in["scope"] != "brevet:admin:viewer" || in["sub"] != "spiffe://example.internal/operator/alice" || in["aud"] != "spiffe://example.internal/operators" || bound["x5t#S256"] == nil {
		t.Errorf("it introspects as %v", in)
	}
	if at := a.byToken("POST /tokens", nil, nil); at.status != http.StatusForbidden {
		t.Errorf("without a certificate: %d %s", at.status, at.body)
	}
	if here := a.ask(a.operators, "POST", "/tokens", "application/json", "{}", nil); here.status != http.StatusBadRequest || !strings.Contains(here.body, "listen_admin") {
		t.Errorf("at the socket: %d %s", here.status, here.body)
	}
	last := a.log(0)
	i := slices.IndexFunc(last, func(e audit.Event) bool { return e.Action == audit.TokenMint })
	if e := last[i]; e.Actor != "operator:alice" || e.Subject != "operator/alice" || e.Credential != got.ID || !slices.Equal(e.Details.Scopes, []string{"brevet:admin:viewer"}) || e.Details.Certificate != serial(cert) {
		t.Errorf("recorded is %+v", e)
	}
}

// TestTokensAreForTheirHolderAlone: all other tokens are refused with 401, and that is recorded.
func TestTokensAreForTheirHolderAlone(t *testing.T) {
	a := newAuthority(t)
	alice, bob := a.loggedIn("alice", persons.Admin), a.loggedIn("bob", persons.Admin)
	second := a.login(invitedToken(a.operate("POST", "/operators/alice/enroll", nil)))
	agent := a.enrolledWith("alice", agents.Change{Scopes: []string{"brevet:introspect"}})
	good := a.operatorToken(alice, "viewer").Token
	if got := a.byToken("GET /agents", nil, alice, "bearer "+good); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	ofAgent := a.postForm("/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"alice"}}, agent).json["access_token"].(string)
	revoked := a.operatorToken(alice, "admin")
	a.operate("POST", "/tokens/"+revoked.ID+"/revoke", nil)
	expired := a.operatorToken(alice, "admin").Token
	elsewhere := a.tokenFor(alice, "https://api.example")
	for what, c := range map[string]struct {
		cert          *x509.Certificate
		authorization []string
	}{
		"another operator":            {bob, []string{"Bearer " + good}},
		"another of one's own":        {second, []string{"Bearer " + good}},
		"an agent's":                  {alice, []string{"Bearer " + ofAgent}},
		"revoked":                     {alice, []string{"Bearer " + revoked.Token}},
		"for another audience":        {alice, []string{"Bearer " + elsewhere}},
		"nothing":                     {alice, []string{""}},
		"no token":                    {alice, []string{"Bearer x"}},
		"a token and a letter":        {alice, []string{"Bearer " + good + "A"}},
		"another scheme":              {alice, []string{"DPoP " + good}},
		"a password":                  {alice, []string{"Basic YWxpY2U6eA=="}},
		"two, of which one is usable": {alice, []string{"Bearer " + good, "Bearer " + good}},
	} {
		a.refusedToken(what, a.byToken("GET /agents", nil, c.cert, c.authorization...))
	}
	a.refusedToken("at the socket", a.send(a.operators, "/crl", "application/json", "{}", nil, http.Header{"Authorization": {"Bearer " + good}}))
	if got := a.byToken("GET /agents", nil, nil, "Bearer "+good); got.status != http.StatusForbidden {
		t.Errorf("without a certificate: %d %s", got.status, got.body)
	}
	if got := a.byToken("GET /agents", nil, agent, "Bearer "+good); got.status != http.StatusForbidden {
		t.Errorf("with an agent's certificate: %d %s", got.status, got.body)
	}
	a.set(a.now().Add(11 * time.Minute))
	a.refusedToken("expired", a.byToken("GET /agents", nil, alice, "Bearer "+expired))
}

// refusedToken checks that a token was refused, and that the last event says so.
func (a *world) refusedToken(what string, got reply) {
	a.t.Helper()
	if got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		a.t.Errorf("%s: %d %s", what, got.status, got.body)
	}
	all := slices.DeleteFunc(a.log(0), func(e audit.Event) bool { return !strings.HasPrefix(e.Actor, "operator:") && e.Actor != "uid=0" }) // without those that were counted before
	if e := all[len(all)-1]; e.Action != audit.OperatorUseToken || e.Decision != audit.Deny || !slices.Equal(e.Details.Codes, []string{"operator_token"}) {
		a.t.Errorf("%s: recorded is %+v", what, e)
	}
}

// tokenFor returns a token of alice's for another audience, which no rule lets her have.
func (a *world) tokenFor(cert *x509.Certificate, audience string) string {
	a.t.Helper()
	s := a.operatorService()
	p, err := s.Authenticate(a.t.Context(), cert)
	if err != nil {
		a.t.Fatal(err)
	}
	want := tokens.Request{
		Claim:  policy.NewClaim(p.Own(), p.Certificate.Agent, audit.ClientCertificate(serial(cert)), policy.Alive(p.Certificate)),
		Scopes: []agents.Scope{persons.Viewer.Scope()}, Audiences: []string{audience},
		Bound: &tokens.Binding{Kind: tokens.ToCertificate, Certificate: p.Certificate, Thumbprint: sha256.Sum256(cert.Raw)},
	}
	if _, err := a.authority.Tokens.Mint(a.t.Context(), want); !errors.Is(err, policy.ErrAudience) {
		a.t.Errorf("a token for %s: %v", audience, err)
	}
	lax := a.authority.Tokens.Config
	lax.Policy = &policy.Point{DB: a.db, Rules: policy.Rules{Authority: a.policy.Rules.Authority, TrustDomain: "other.example"}}
	other, err := tokens.New(lax)
	if err != nil {
		a.t.Fatal(err)
	}
	want.Audiences = []string{policy.OperatorAudience("other.example")}
	m, err := other.Mint(a.t.Context(), want)
	if err != nil {
		a.t.Fatal(err)
	}
	return m.Text.Reveal()
}

// TestTokenEndsWithItsOperator: what ends the operator, the certificate or the token acts on a
// token at once, between the beginning of an operation and its commit, too.
func TestTokenEndsWithItsOperator(t *testing.T) {
	for what, c := range map[string]struct {
		end  func(storage.Tx, policy.Principal, time.Time) error
		code string
	}{
		"nothing":   {func(storage.Tx, policy.Principal, time.Time) error { return nil }, ""},
		"suspended": {func(tx storage.Tx, _ policy.Principal, now time.Time) error { return suspendAlice(tx, now) }, "operator_suspended"},
		"removed": {func(tx storage.Tx, _ policy.Principal, now time.Time) error {
			_, err := persons.Remove(tx, "example.internal", "alice", now)
			return err
		}, "operator_removed"},
		"a lesser role": {func(tx storage.Tx, _ policy.Principal, _ time.Time) error {
			_, _, err := persons.SetRole(tx, "alice", persons.Viewer)
			return err
		}, "operator_role"},
		"a higher role": {func(tx storage.Tx, _ policy.Principal, _ time.Time) error {
			_, _, err := persons.SetRole(tx, "alice", persons.Admin)
			return err
		}, ""},
		"the certificate is revoked": {func(tx storage.Tx, p policy.Principal, now time.Time) error {
			return agents.Revoke(tx, p.Certificate, agents.Cutoff{At: now})
		}, "operator_certificate"},
		"the token is revoked": {func(tx storage.Tx, p policy.Principal, now time.Time) error {
			return agents.Revoke(tx, p.Token, agents.Cutoff{At: now})
		}, "operator_token"},
	} {
		a := newAuthority(t)
		a.enrolled("bot")
		cert := a.loggedIn("alice", persons.Security)
		token := a.operatorToken(cert, "security").Token
		s := a.operatorService()
		p, err := s.AuthenticateToken(t.Context(), cert, token)
		if err != nil {
			t.Fatal(err)
		}
		s.DB = &hookedDB{DB: a.db, then: func() { a.write(func(tx storage.Tx) error { return c.end(tx, p, a.now()) }) }}
		before := len(a.log(0))
		for _, v := range s.Operations() {
			if v.Route == api.Suspend.Route() {
				_, err = v.Do(t.Context(), p, with(api.EndRequest{Name: "bot"}))
			}
		}
		told := a.log(0)[before:]
		if (err == nil) != (c.code == "") || len(told) != 1 || (told[0].Decision == audit.Allow) != (c.code == "") || err != nil && !slices.Contains(told[0].Details.Codes, c.code) {
			t.Errorf("%s: got %v, recorded is %+v", what, err, told)
		}
		got := a.byToken("POST /crl", struct{}{}, cert, "Bearer "+token)
		if (got.status == http.StatusOK) != (c.code == "") {
			t.Errorf("%s: the next request gets %d %s", what, got.status, got.body)
		}
		in := a.operate("POST", "/tokens/introspect", api.IntrospectRequest{Token: token}).json
		if alive := c.code == "" || c.code == "operator_role"; in["active"] != alive {
			t.Errorf("%s: it introspects as %v", what, in)
		}
		if c.code == "operator_role" && in["scope"] != "brevet:admin:viewer" {
			t.Errorf("%s: its scope is %v", what, in["scope"])
		}
	}
}

// TestNoTokenForAnEndedOperator: what ends an operator before the commit keeps the token back.
func TestNoTokenForAnEndedOperator(t *testing.T) {
	for what, halt := range halts {
		a := newAuthority(t)
		cert := a.loggedIn("alice", persons.Admin)
		s := a.operatorService()
		p, err := s.Authenticate(t.Context(), cert)
		if err != nil {
			t.Fatal(err)
		}
		s.DB = &hookedDB{DB: a.db, then: func() { a.write(func(tx storage.Tx) error { return halt.do(tx, a.now()) }) }}
		for _, v := range s.Operations() {
			if v.Route == api.MintOperatorToken.Route() {
				_, err = v.Do(t.Context(), p, with(api.OperatorTokenRequest{}))
			}
		}
		told := a.log(0)
		last := told[len(told)-1]
		if policy.IsDenial(err) != (halt.refusal != nil) || last.Action != audit.TokenMint || (last.Decision == audit.Allow) != (halt.refusal == nil) {
			t.Errorf("%s: got %v, recorded is %+v", what, err, last)
		}
	}
}

// TestOperatorsAndAgentsObtainTheirOwnTokens: an operator's certificate gets none for agents, an
// operator's token does nothing for agents, and only an admin ends one of somebody else.
func TestOperatorsAndAgentsObtainTheirOwnTokens(t *testing.T) {
	a := newAuthority(t)
	alice, bob, agent := a.loggedIn("alice", persons.Security), a.loggedIn("bob", persons.Operator), a.enrolledWith("alice", agents.Change{Scopes: []string{"brevet:introspect", "a"}, Audiences: []string{"https://a.example"}})
	token := a.operatorToken(alice, "")
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"brevet:admin:viewer"}, "resource": {"spiffe://example.internal/operators"}}
	if got := a.postForm("/oauth/token", form, alice); got.status != http.StatusUnauthorized {
		t.Errorf("an operator at the agents' endpoint: %d %s", got.status, got.body)
	}
	if got := a.postForm("/oauth/token", form, agent); got.status != http.StatusBadRequest || got.json["error"] != "invalid_scope" {
		t.Errorf("an agent: %d %s", got.status, got.body)
	}
	for _, cert := range []*x509.Certificate{alice, agent} {
		got := a.send(a.agents, "/oauth/introspect", "application/x-www-form-urlencoded", url.Values{"token": {token.Token}}.Encode(), cert, http.Header{"Authorization": {"Bearer " + token.Token}})
		if got.status != http.StatusUnauthorized {
			t.Errorf("introspecting by an operator's token: %d %s", got.status, got.body)
		}
	}
	if got := a.postForm("/oauth/introspect", url.Values{"token": {token.Token}}, agent); got.json["active"] != true {
		t.Errorf("an agent introspects it as %d %s", got.status, got.body)
	}
	if got := a.byToken("POST /tokens/"+token.ID+"/revoke", struct{}{}, bob); got.status != http.StatusForbidden {
		t.Errorf("another operator revokes it: %d %s", got.status, got.body)
	}
	a.operate("POST", "/agents/alice/suspend", nil)
	a.postJSON(a.operators, "/revoke", api.Selection{IssuedBefore: a.now().Add(time.Second)}, nil)
	if got := a.byToken("GET /agents", nil, alice, "Bearer "+token.Token); got.status != http.StatusOK {
		t.Errorf("after agents were ended: %d %s", got.status, got.body)
	}
	if got := a.byToken("POST /tokens/"+token.ID+"/revoke", struct{}{}, alice); got.status != http.StatusOK {
		t.Errorf("she revokes it: %d %s", got.status, got.body)
	}
	a.refusedToken("then", a.byToken("GET /agents", nil, alice, "Bearer "+token.Token))
}
