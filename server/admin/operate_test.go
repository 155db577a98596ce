package admin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

func TestAgentsAreListedBy(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.Add("idle", agents.Change{Owner: new("alice"), Labels: map[string]string{"env": "prod", "tier": "1"}})
	if _, err := w.Admin.Suspend(ctx, "boss", ""); err != nil {
		t.Fatal(err)
	}
	list := func(f api.Filter) string {
		t.Helper()
		all, err := w.Admin.Agents(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, a := range all {
			names = append(names, a.Name)
		}
		return strings.Join(names, " ")
	}
	for _, c := range []struct {
		filter api.Filter
		want   string
	}{
		{api.Filter{}, "boss bot idle"}, {api.Filter{State: "active"}, "bot idle"}, {api.Filter{State: "suspended"}, "boss"}, {api.Filter{State: "decommissioned"}, ""},
		{api.Filter{Owner: "alice"}, "bot idle"}, {api.Filter{Owner: "nobody"}, ""}, {api.Filter{Labels: map[string]string{"env": "prod"}}, "bot idle"},
		{api.Filter{Labels: map[string]string{"env": "prod", "tier": "1"}}, "idle"}, {api.Filter{Owner: "brevet itself"}, ""}, {api.Filter{Stale: time.Minute}, ""},
	} {
		if got := list(c.filter); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.filter, got, c.want)
		}
	}
	w.Clock.Advance(2 * time.Minute)
	w.bot.Use(w.bot.Renew())
	if got := list(api.Filter{Stale: time.Minute}); got != "boss idle" {
		t.Errorf("stale are %q", got)
	}
}

// TestOperatorIssuesACertificate on an agent's behalf.
func TestOperatorIssuesACertificate(t *testing.T) {
	w := newWorld(t)
	issued, err := w.Admin.IssueCertificate(t.Context(), "bot", api.IssueRequest{CSR: w.bot.CSR(nil), TTL: "10m"})
	if err != nil {
		t.Fatal(err)
	}
	w.bot.Use(servertest.Answer{JSON: map[string]any{"certificate": issued.Certificate, "chain": issued.Chain}})
	if got := w.bot.Renew(); got.Status != http.StatusOK {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	for _, e := range w.Events() {
		if e.Action == "certificate.issue" && e.OnBehalfOf != "" {
			if e.OnBehalfOf != "spiffe://example.internal/agent/bot" || !strings.HasPrefix(e.Actor, "uid=") || e.Subject != "bot" {
				t.Errorf("recorded is %+v", e)
			}
			return
		}
	}
	t.Error("nothing is on record")
}

func TestOperatorIntrospects(t *testing.T) {
	w := newWorld(t)
	text := w.bot.Token(nil).JSON["access_token"].(string)
	raw, err := w.Admin.Introspect(t.Context(), text)
	var in map[string]any
	if err != nil || json.Unmarshal(raw, &in) != nil || in["active"] != true || in["client_id"] != "bot" {
		t.Errorf("%s, %v", raw, err)
	}
}
