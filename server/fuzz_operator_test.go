package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/audit"
)

// FuzzOperator: whatever comes over the operators' socket, the authority does
// not fail; what changes something is recorded once, as allowed if and only if
// it was answered well; and what only asks is not recorded.
func FuzzOperator(f *testing.F) {
	a := newFuzzed(f)
	certificate := ""
	for _, id := range a.holdings()["bot"] {
		certificate = id
	}
	const doc = "application/json"
	for _, path := range []string{
		"/agents", "/agents?state=active&owner=team&label=tier%3Done&stale=1h", "/agents?state=x", "/agents?stale=-1h", "/agents/bot", "/agents/nobody", "/agents/BOT", "/agents/%00", "/certificates?agent=bot&state=active", "/certificates?state=x",
		"/certificates/" + certificate, "/certificates/x", "/tokens?agent=bot", "/crl", "/crl?issuer=x", "/audit", "/audit?since=2026-03-14T15:09:26Z&agent=bot", "/audit?since=yesterday", "/audit?follow=true", "/audit/proof/0", "/audit/proof/99999999999999999999", "/audit/proof/-1",
		"/keys", "/status", "/nothing",
	} {
		f.Add(raw("GET", path, "", ""))
	}
	for _, c := range [][2]string{
		{"/agents", `{"name":"new","owner":"ops","scopes":["a:b"],"audiences":["https://x.example"],"dns":["x.example.com,challenge"],"ips":["192.0.2.9"],"ttl":60000000000,"expires":"2027-01-01T00:00:00Z","labels":{"a":"b"}}`},
		{"/agents", `{"name":"brevet","owner":"ops"}`}, {"/agents", `{"name":"x"}`}, {"/agents", `{"nome":"x"}`}, {"/agents", `{"name":"two","owner":"x"}{"name":"three"}`}, {"/agents", `null`}, {"/agents", ``}, {"/agents", `{"name":"a\u0000b","owner":"\u202e"}`},
		{"/agents/bot/suspend", `{"reason":"keyCompromise"}`}, {"/agents/bot/suspend", `{"reason":"boredom"}`}, {"/agents/bot/resume", ``}, {"/agents/bot/reenroll", ``}, {"/agents/api/decommission", `{}`}, {"/agents/brevet/suspend", ``},
		{"/agents/bot/certificates", `{"csr":"x","ttl":"5m","profile":"default"}`}, {"/certificates/" + certificate + "/revoke", `{"reason":"superseded"}`}, {"/certificates/00/revoke", ``}, {"/tokens/" + certificate + "/revoke", ``},
		{"/tokens/introspect", `{"token":"a.b.c"}`}, {"/revoke", `{"agent":"bot","dry_run":true}`}, {"/revoke", `{"owner":"ops","reason":"superseded"}`}, {"/revoke", `{"labels":{"tier":"one"},"issued_before":"2026-03-14T15:09:00Z"}`},
		{"/revoke", `{"issued_since":"2026-03-14T15:09:00Z"}`}, {"/revoke", `{}`}, {"/revoke", `{"issued_before":"9999-12-31T23:59:59.999999999Z"}`}, {"/revoke", `{"issued_since":"0000-01-01T00:00:00Z","agent":"bot"}`}, {"/crl", ``}, {"/audit/verify", `{"checkpoint":"x"}`}, {"/audit/verify", ``},
	} {
		f.Add(raw("POST", c[0], doc, c[1]))
	}
	f.Add(raw("PATCH", "/agents/bot", doc, `{"scopes":[],"keys":["x"],"owner":""}`))
	f.Add(raw("PATCH", "/agents/api", doc, `{"expires":"0001-01-01T00:00:00Z","ttl":-1}`))
	f.Add(raw("PUT", "/agents/bot", doc, `{}`))
	f.Fuzz(func(t *testing.T, text string) {
		a.t = t
		if strings.Contains(text, "otate") {
			return // it makes a key each time
		}
		size := a.authority.Events()
		r, body, w := a.try(a.operators, text)
		if r == nil {
			return
		}
		got := w.Result()
		if got.StatusCode >= 500 {
			t.Errorf("%q: %d %s", text, got.StatusCode, w.Body)
		}
		if kind := got.Header.Get("Content-Type"); kind == "application/problem+json" {
			var e api.Error
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Status != got.StatusCode || e.Detail == "" || len(e.Detail) > 2000 {
				t.Errorf("%q: %s", text, w.Body)
			}
		} else if kind == doc && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q: %s", text, w.Body)
		}
		if got.StatusCode == http.StatusOK && r.Method != "GET" && r.Method != "HEAD" && body != "" && !json.Valid([]byte(body)) && r.Pattern != "" && takesBody(r) {
			t.Errorf("%q: the body was understood, and is no JSON document", text)
		}
		events := a.log(size)
		allowed := 0
		for _, e := range events {
			if e.Decision == audit.Allow {
				allowed++
			}
			if e.Actor != fmt.Sprintf("uid=%d", os.Getuid()) || e.Action == "" || len(e.Request) != 16 {
				t.Errorf("%q: recorded is %+v", text, e)
			}
		}
		changes, counts := changing(r), r.Pattern == "POST /revoke" && strings.Contains(w.Body.String(), `"dry_run":true`)
		switch well := got.StatusCode == http.StatusOK && !counts; {
		case len(events) > 1, !changes && len(events) > 0:
			t.Errorf("%q (%d): recorded are %+v", text, got.StatusCode, events)
		case changes && well != (allowed == 1):
			t.Errorf("%q: %d %s, but recorded are %+v", text, got.StatusCode, w.Body, events)
		}
	})
}

// changing reports whether a request is one that changes something.
func changing(r *http.Request) bool {
	switch r.Pattern {
	case "POST /agents", "PATCH /agents/{name}", "POST /agents/{name}/suspend", "POST /agents/{name}/resume", "POST /agents/{name}/decommission",
		"POST /agents/{name}/reenroll", "POST /agents/{name}/certificates", "POST /certificates/{serial}/revoke", "POST /tokens/{jti}/revoke", "POST /revoke":
		return true
	}
	return false
}

// takesBody reports whether a request has parameters in its body.
func takesBody(r *http.Request) bool {
	switch r.Pattern {
	case "POST /agents/{name}/resume", "POST /agents/{name}/reenroll", "POST /crl":
		return false
	}
	return true
}

// FuzzSelection: a selection of what to revoke counts what a plain reading of
// it counts, and when it is only counted, nothing ends.
func FuzzSelection(f *testing.F) {
	a := newFuzzed(f)
	a.set(dawn.Add(30 * time.Second))
	a.operate("POST", "/agents/bot/certificates", map[string]string{"csr": csrPEM(f, newKey(f), nil)})
	a.set(dawn.Add(time.Minute))
	type holding struct {
		agent, owner string
		labels       map[string]string
		issued       time.Time
	}
	bot := map[string]string{"tier": "one"}
	all := []holding{{"bot", "team", bot, dawn}, {"bot", "team", bot, dawn.Add(30 * time.Second)}, {"api", "ops", nil, dawn}}
	size := a.authority.Events()
	second := int64(time.Second)
	f.Add("bot", "", "", "", int64(0), int64(0), "")
	f.Add("", "team", "", "", int64(0), int64(0), "keyCompromise")
	f.Add("", "", "tier", "one", 30*second, int64(0), "SUPERSEDED")
	f.Add("", "", "", "", 31*second, second, "")
	f.Add("", "", "tier", "", int64(0), 30*second, "")
	f.Add("api", "team", "", "", int64(0), int64(0), "")
	f.Add("nobody", "", "", "", int64(0), int64(0), "")
	f.Add("brevet", "brevet itself", "", "", int64(0), int64(0), "")
	f.Add("", "", "", "", 61*second, int64(0), "")
	f.Fuzz(func(t *testing.T, agent, owner, label, value string, before, since int64, reason string) {
		s := api.Selection{Agent: agent, Owner: owner, Reason: reason, DryRun: true}
		if label != "" {
			s.Labels = map[string]string{label: value}
		}
		if before != 0 {
			s.IssuedBefore = dawn.Add(time.Duration(before))
		}
		if since != 0 {
			s.IssuedSince = dawn.Add(time.Duration(since))
		}
		body, err := json.Marshal(s)
		if err != nil {
			t.Skip("a year beyond 9999")
		}
		if err := json.Unmarshal(body, &s); err != nil { // as the server reads it: with U+FFFD for what is not UTF-8
			t.Fatal(err)
		}
		got := a.ask(a.operators, "POST", "/revoke", "application/json", string(body), nil)
		want, named := 0, s.Agent == "" && s.Owner == "" && len(s.Labels) == 0
		for _, h := range all {
			labelled := true
			for k, v := range s.Labels {
				labelled = labelled && h.labels[k] == v
			}
			labelled = labelled && (s.Agent == "" || s.Agent == h.agent) && (s.Owner == "" || s.Owner == h.owner)
			named = named || labelled
			if labelled && (s.IssuedBefore.IsZero() || h.issued.Before(s.IssuedBefore)) && (s.IssuedSince.IsZero() || !h.issued.Before(s.IssuedSince)) {
				want++
			}
		}
		_, badReason := agents.ParseReason(s.Reason)
		bad := s.Agent == "" && s.Owner == "" && len(s.Labels) == 0 && s.IssuedBefore.IsZero() && s.IssuedSince.IsZero() ||
			s.IssuedBefore.After(a.now()) || s.Reason != "" && badReason != nil ||
			!named || s.Owner == "brevet itself"
		switch {
		case bad && got.status != http.StatusBadRequest && got.status != http.StatusNotFound && got.status != http.StatusConflict:
			t.Errorf("%s: %d %s, want a refusal", body, got.status, got.body)
		case !bad && (got.status != http.StatusOK || got.json["certificates"] != float64(want) || got.json["dry_run"] != true):
			t.Errorf("%s: %d %s, want %d certificates", body, got.status, got.body, want)
		}
		if n := a.authority.Events(); n != size {
			size = n
			t.Errorf("%s: it is recorded: %+v", body, a.log(n-1))
		}
	})
}
