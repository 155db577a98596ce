package admin_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// only forgets all but the error of a call.
func only[T any](_ T, err error) error { return err }

func TestAgentsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	ctx, c := t.Context(), w.Admin
	owner := agents.Change{Owner: new("alice")}
	for _, name := range []string{"suspended", "gone"} {
		w.Add(name, owner)
	}
	if err := errors.Join(only(c.Suspend(ctx, "suspended", "")), only(c.Decommission(ctx, "gone", ""))); err != nil {
		t.Fatal(err)
	}
	add := func(name string, change agents.Change) func() error {
		return func() error { return only(c.AddAgent(ctx, name, api.Change(change))) }
	}
	set := func(name string, change agents.Change) func() error {
		return func() error { return only(c.SetAgent(ctx, name, api.Change(change))) }
	}
	w.refused("a name in upper case", 400, "invalid agent name", "", "", add("Bot", owner))
	w.refused("no name", 400, "invalid agent name", "", "", add("", owner))
	w.refused("the authority's name", 400, "the authority's own", "agent.add", "brevet", add("brevet", owner))
	w.refused("a name that is given out", 409, "the name bot was given out at", "agent.add", "bot", add("bot", owner))
	w.refused("a name that was given out once", 409, "and is decommissioned; a name is used only once", "agent.add", "gone", add("gone", owner))
	w.refused("no owner", 400, "needs an owner", "agent.add", "fresh", add("fresh", agents.Change{}))
	w.refused("a bad scope", 400, "invalid scope", "agent.add", "fresh", add("fresh", agents.Change{Owner: owner.Owner, Scopes: []string{"a b"}}))
	w.refused("another agent's host", 409, "belongs to the agent", "agent.add", "fresh", add("fresh", agents.Change{Owner: owner.Owner, DNS: []string{"bot.example.internal"}}))
	w.refused("an end that is past", 400, "lies in the past", "agent.set", "bot", set("bot", agents.Change{Expires: new(w.Clock.Now().Add(-time.Hour))}))
	w.refused("a lifetime that no profile allows", 400, "invalid ttl 1d: want 1h or less", "agent.set", "bot", set("bot", agents.Change{TTL: new(24 * time.Hour)}))
	w.refused("the same of a new agent", 400, "want 1h or less", "agent.add", "fresh", add("fresh", agents.Change{Owner: owner.Owner, TTL: new(time.Hour + time.Second)}))
	w.refused("a change of nobody", 404, "no such agent: nobody", "agent.set", "nobody", set("nobody", agents.Change{}))
	w.refused("a change of what is gone", 409, "gone is decommissioned and cannot be changed", "agent.set", "gone", set("gone", agents.Change{}))
	w.refused("a change of the authority", 409, "brevet is the authority itself", "agent.set", "brevet", set("brevet", agents.Change{Owner: new("x")}))

	w.refused("to show nobody", 404, "no such agent: nobody", "", "", func() error { return only(c.Agent(ctx, "nobody")) })
	w.refused("to show a name that is none", 400, "invalid agent name", "", "", func() error { return only(c.Agent(ctx, "../bot")) })
	for verb, call := range map[string]func(string) error{
		"suspend": func(n string) error { return only(c.Suspend(ctx, n, "")) }, "resume": func(n string) error { return only(c.Resume(ctx, n)) },
		"decommission": func(n string) error { return only(c.Decommission(ctx, n, "")) }, "reenroll": func(n string) error { return only(c.Reenroll(ctx, n)) },
	} {
		of := func(n string) func() error { return func() error { return call(n) } }
		w.refused(verb+" nobody", 404, "no such agent: nobody", "agent."+verb, "nobody", of("nobody"))
		w.refused(verb+" the authority", 409, "stop the server instead", "agent."+verb, "brevet", of("brevet"))
		if verb != "decommission" {
			w.refused(verb+" what is gone", 409, "gone is decommissioned and cannot be", "agent."+verb, "gone", of("gone"))
		}
		w.refused(verb+" a name that is none", 400, "invalid agent name", "", "", of("Bot"))
		if verb == "reenroll" {
			w.refused(verb+" the suspended", 409, "suspended is suspended and cannot be", "agent."+verb, "suspended", of("suspended"))
		}
	}
	for _, call := range []func() error{func() error { return only(c.Suspend(ctx, "bot", "bored")) }, func() error { return only(c.Decommission(ctx, "bot", "bored")) }} {
		w.refused("a reason that is none", 400, "want one of affiliationChanged", "", "", call)
	}
	w.refused("a state that is none", 400, "want active, suspended or decommissioned", "", "", func() error { return only(c.Agents(ctx, api.Filter{State: "Active"})) })
}

func TestCredentialsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	ctx, c := t.Context(), w.Admin
	const unknown = "0c5e8e7a00112233445566778899aabbccddeeff"
	w.Add("suspended", agents.Change{})
	if _, err := c.Suspend(ctx, "suspended", ""); err != nil {
		t.Fatal(err)
	}
	first, jti := serial(w.bot), w.token(w.bot)
	w.bot.Use(w.bot.Renew())
	if err := errors.Join(only(c.RevokeCertificate(ctx, first, "")), only(c.RevokeToken(ctx, w.token(w.bot), ""))); err != nil {
		t.Fatal(err)
	}
	var own string // the server's
	list, err := c.Certificates(ctx, "brevet", "active")
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	own = list[0].Serial

	revoke := func(s, why string) func() error {
		return func() error { return only(c.RevokeCertificate(ctx, s, why)) }
	}
	w.refused("no serial number", 400, "want its 40 hexadecimal digits", "", "", revoke("junk", ""))
	w.refused("a reason that is none", 400, "want one of", "", "", revoke(serial(w.bot), "bored"))
	w.refused("the server's own certificate", 409, "the server's own certificate", "certificate.revoke", "brevet", revoke(own, ""))
	w.refused("to show no serial number", 400, "want its 40 hexadecimal digits", "", "", func() error { return only(c.Certificate(ctx, "0")) })
	w.refused("to show what never was", 404, unknown, "", "", func() error { return only(c.Certificate(ctx, unknown)) })
	w.refused("to list a state that is none", 400, "want active, revoked or expired", "", "", func() error { return only(c.Certificates(ctx, "", "dead")) })
	if again, err := c.RevokeCertificate(ctx, first, "superseded"); err != nil || again.Certificates != 0 || !strings.Contains(again.Note, "revoked already") {
		t.Errorf("a certificate again: got %+v, %v", again, err)
	}

	issue := func(name string, r api.IssueRequest) func() error {
		if r.CSR == "" {
			r.CSR = w.bot.CSR(nil)
		}
		return func() error { return only(c.IssueCertificate(ctx, name, r)) }
	}
	w.refused("for nobody", 404, "no such agent", "certificate.issue", "nobody", issue("nobody", api.IssueRequest{}))
	w.refused("for the suspended", 409, "suspended is suspended", "certificate.issue", "suspended", issue("suspended", api.IssueRequest{}))
	w.refused("for the authority", 409, "the authority itself", "certificate.issue", "brevet", issue("brevet", api.IssueRequest{}))
	w.refused("without a request", 400, "it is not PEM", "certificate.issue", "bot", issue("bot", api.IssueRequest{CSR: "junk"}))
	w.refused("for words", 400, "want a duration", "", "", issue("bot", api.IssueRequest{TTL: "long"}))
	w.refused("for long", 400, "may ask for 1m to 1h", "certificate.issue", "bot", issue("bot", api.IssueRequest{TTL: "2h"}))
	w.refused("of the server's profile", 400, "no such profile", "certificate.issue", "bot", issue("bot", api.IssueRequest{Profile: "server"}))

	end := func(jti, why string) func() error { return func() error { return only(c.RevokeToken(ctx, jti, why)) } }
	w.refused("no jti", 400, "want its 40 hexadecimal digits", "", "", end("junk", ""))
	w.refused("a reason that is none, for a token", 400, "want one of", "", "", end(jti, "bored"))
	for _, what := range []struct {
		action string
		call   func() error
	}{{"certificate.revoke", revoke(unknown, "")}, {"token.revoke", end(unknown, "")}} {
		events := len(w.Events())
		err := what.call()
		var refusal *api.Error
		if !errors.As(err, &refusal) || refusal.Status != 404 || !strings.Contains(refusal.Detail, unknown) {
			t.Errorf("%s of what never was: %v", what.action, err)
		}
		if fresh := w.Events()[events:]; len(fresh) != 1 || string(fresh[0].Action) != what.action || fresh[0].Decision != "deny" {
			t.Errorf("recorded are %+v", fresh)
		}
	}
	// Its certificate is dead, and the token with it.
	if err := end(jti, "")(); err != nil && !strings.Contains(err.Error(), "revoked") {
		t.Errorf("a token of a dead certificate: %v", err)
	}
	if got, err := c.Introspect(ctx, "junk"); err != nil || string(got) != `{"active":false}` {
		t.Errorf("introspection of junk: %s, %v", got, err)
	}
}

func TestSelectionsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	ctx, c := t.Context(), w.Admin
	revoke := func(s api.Selection) func() error { return func() error { return only(c.Revoke(ctx, s)) } }
	future := w.Clock.Now().Add(time.Hour)
	w.refused("nothing", 400, "name an agent, an owner, a label, a role or a time", "", "", revoke(api.Selection{}))
	w.refused("only a reason", 400, "name an agent", "", "", revoke(api.Selection{Reason: "superseded"}))
	w.refused("the future", 400, "lies in the future", "", "", revoke(api.Selection{IssuedBefore: future}))
	w.refused("a reason that is none", 400, "want one of", "", "", revoke(api.Selection{Agent: "bot", Reason: "bored"}))
	w.refused("nobody", 404, "no such agent: nobody", "credential.revoke", "nobody", revoke(api.Selection{Agent: "nobody"}))
	w.refused("nobody, to try", 404, "no such agent: nobody", "", "", revoke(api.Selection{Agent: "nobody", DryRun: true}))
	w.refused("the authority", 409, "the authority itself", "credential.revoke", "brevet", revoke(api.Selection{Agent: "brevet"}))
	w.refused("the authority by its owner", 409, "the authority itself", "credential.revoke", "owner brevet itself", revoke(api.Selection{Owner: "brevet itself"}))

	w.refused("the list of an unknown issuer", 404, `CRL of issuer "00"`, "", "", func() error { return only(c.CRL(ctx, "00")) })
	w.refused("a new https-root", 400, "this authority has no https-root key", "key.announce", "https-root", func() error { return only(c.RotateKey(ctx, "https-root")) })
	w.refused("an end of what is no root", 404, "not found", "", "", func() error { return only(c.WithdrawKey(ctx, "00")) })
	w.refused("a key for what is none", 400, "want one of root, issuer,", "", "", func() error { return only(c.RotateKey(ctx, "ssh")) })
	w.refused("the proof of no entry", 404, "not found", "", "", func() error { return only(c.Prove(ctx, 1_000_000)) })
	w.refused("the proof before the first", 400, `invalid entry "-1"`, "", "", func() error { return only(c.Prove(ctx, -1)) })
	w.refused("a checkpoint that is none", 400, "invalid checkpoint", "", "", func() error { return only(c.VerifyLog(ctx, "junk")) })
}

func TestRequestsThatAreNone(t *testing.T) {
	w := newWorld(t)
	before := len(w.Events())
	for _, c := range []struct {
		method, path, body string
		status             int
		because            string
	}{
		{"GET", "/nothing", "", 404, "404"},
		{"DELETE", "/agents/bot", "", 405, "Method Not Allowed"},
		{"POST", "/agents", "junk", 400, "invalid body"},
		{"POST", "/agents", `{"name":"x","owners":"y"}`, 400, `unknown field \"owners\"`},
		{"POST", "/agents", `{"name":7}`, 400, "invalid body"},
		{"PATCH", "/agents/bot", `{"scopes":"a"}`, 400, "invalid body"},
		{"PATCH", "/agents/bot", `{"purpose":"` + strings.Repeat("x", 1<<20) + `"}`, 400, "invalid body"},
		{"POST", "/agents/bot/suspend", "junk", 400, "invalid body"},
		{"POST", "/revoke", "[]", 400, "invalid body"},
		{"GET", "/agents?stale=soon", "", 400, "want a duration such as 720h"},
		{"GET", "/agents?stale=-5m", "", 400, "want a duration"},
		{"GET", "/audit?since=yesterday", "", 400, "want RFC 3339"},
		{"GET", "/audit/proof/x", "", 400, "want its number"},
		{"GET", "/audit?follow=perhaps", "", 400, "want true or false"},
		{"GET", "/agents?names=bot", "", 400, `invalid parameter \"names\"`},
		{"GET", "/agents?label=x", "", 400, `invalid label \"x\": want KEY=VALUE`},
		{"GET", "/agents?label=&label=env%3Dprod", "", 400, "want KEY=VALUE"},
		{"GET", "/agents?owner=", "", 400, `invalid owner \"\": want a value`},
		{"GET", "/agents?owner=alice&owner=bob", "", 400, "want one value"},
		{"GET", "/agents?stale=720h;owner=alice", "", 400, "invalid query"},
		{"GET", "/agents?owner=%zz", "", 400, "invalid query"},
		{"GET", "/certificates?agent=Bot", "", 400, "invalid agent name"},
		{"GET", "/tokens?agent=Bot", "", 400, "invalid agent name"},
		{"GET", "/audit?agent=Bot", "", 400, "invalid agent name"},
		{"POST", "/keys/issuer/rotate?algorithm=", "", 400, `invalid algorithm \"\"`},
		{"GET", "/backup?to=here", "", 400, `invalid parameter \"to\"`},
		{"POST", "/keys/issuer/rotate?algorithms=x", "", 400, `invalid parameter \"algorithms\"`},
	} {
		status, text := w.raw(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(text, c.because) || len(text) > 1000 {
			t.Errorf("%s %s: got %d %.300s, want %d that says %q", c.method, c.path, status, text, c.status, c.because)
		}
	}
	if n := len(w.Events()) - before; n != 0 {
		t.Errorf("%d events", n)
	}
}

// TestSocketIsTheOperatorsAlone, and says so when nobody serves it.
func TestSocketIsTheOperatorsAlone(t *testing.T) {
	t.Parallel() // it waits for a server to stop
	w := servertest.New(t)
	info, err := os.Stat(w.File(api.SocketName))
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode()&os.ModeSocket == 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	w.Stop()
	if _, err := w.Admin.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "no server is running") || !strings.Contains(err.Error(), "brevet serve") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(w.File(api.SocketName), nil, 0o600); err != nil { // as a crash leaves it
		t.Fatal(err)
	}
	w.Start()
	if _, err := w.Admin.Status(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := admin.Listen("/"+strings.Repeat("long/", 30), nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "choose a shorter --dir") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Admin.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	var _ http.Handler = (*admin.Handler)(nil)
}
