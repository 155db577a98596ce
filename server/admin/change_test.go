package admin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// filled returns a change with something in each field.
func filled(t *testing.T, w *world) api.Change {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	c := api.Change{
		Owner: new("carol"), Purpose: new("a try"), Labels: map[string]string{"tier": "1", "env": "dev"}, Scopes: []string{"b", "c"},
		Audiences: []string{"https://b.example"}, DNS: []string{"b.example.org,challenge"}, IPs: []string{"192.0.2.9"},
		Keys: []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))},
		TTL:  new(10 * time.Minute), Expires: new(w.Clock.Now().Add(time.Hour).UTC().Truncate(time.Second)),
		Roles: []string{"reader"}, Quotas: map[string]int64{"tokens": 7}, RenewGrace: new(2 * time.Hour), KeyMaxAge: new(48 * time.Hour),
	}
	for v, i := reflect.ValueOf(c), 0; i < v.NumField(); i++ {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "Until" && name != "Reason" { // see TestGrantsAreInTheLog
			t.Fatalf("give %s a value here, so that it can be seen in the log", name)
		}
	}
	return c
}

// TestEachFieldOfAChangeIsInTheLog, by its name in the API, whether the agent is
// new or changed.
func TestEachFieldOfAChangeIsInTheLog(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Admin.AddRole(t.Context(), "reader", api.RoleChange{}); err != nil {
		t.Fatal(err)
	}
	c := filled(t, w)
	var names []string
	for f := range reflect.TypeFor[api.Change]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[api.Change]().Field(f).Tag.Get("json"), ",")
		if name != "until" && name != "reason" {
			names = append(names, name)
		}
	}
	if _, err := w.Admin.SetAgent(t.Context(), "bot", c); err != nil {
		t.Fatal(err)
	}
	set := w.last("agent.set")
	c.DNS, c.IPs, c.Keys = []string{"c.example.org"}, []string{"192.0.2.10"}, filled(t, w).Keys
	if _, err := w.Admin.AddAgent(t.Context(), "fresh", c); err != nil {
		t.Fatal(err)
	}
	for _, e := range []api.Event{set, w.last("agent.add")} {
		var got []string
		for _, f := range e.Details.Change {
			got = append(got, f.Field)
			if f.To == "" {
				t.Errorf("%s: %s became nothing", e.Action, f.Field)
			}
		}
		if !slices.Equal(got, names) {
			t.Errorf("%s: the log tells of %v, want %v", e.Action, got, names)
		}
	}
	if i := slices.IndexFunc(set.Details.Change, func(f api.FieldChange) bool { return f.Field == "labels" }); i < 0 || set.Details.Change[i] != (api.FieldChange{Field: "labels", From: "env=prod", To: "env=dev tier=1"}) {
		t.Errorf("of labels it says %+v", set.Details.Change)
	}
	if _, err := w.Admin.SetAgent(t.Context(), "bot", api.Change{Purpose: new("a try")}); err != nil {
		t.Fatal(err)
	}
	if e := w.last("agent.set"); e.Details != nil {
		t.Errorf("of a change that changes nothing: %+v", e.Details)
	}
}

// TestGrantsAreInTheLog: with their ends and the reason, and what became of those before.
func TestGrantsAreInTheLog(t *testing.T) {
	w := newWorld(t)
	until := w.Clock.Now().Add(time.Hour).UTC().Truncate(time.Second)
	given := api.Change{Scopes: []string{"b"}, Audiences: []string{"https://b.example"}, Until: &until, Reason: new("ticket 7")}
	for name, ask := range map[string]func() error{
		"bot": func() error { _, err := w.Admin.SetAgent(t.Context(), "bot", given); return err },
		"fresh": func() error {
			g := given
			g.Owner = new("carol")
			_, err := w.Admin.AddAgent(t.Context(), "fresh", g)
			return err
		},
	} {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		a, err := w.Admin.Agent(t.Context(), name)
		if err != nil || len(a.Grants) != 2 || a.Grants[0].Scope != "b" || !a.Grants[0].Until.Equal(until) || a.Grants[0].Reason != "ticket 7" || !strings.HasPrefix(a.Grants[0].By, "uid=") {
			t.Errorf("%s: got %+v, %v", name, a.Grants, err)
		}
	}
	end := until.Format(time.RFC3339)
	want := api.FieldChange{Field: "grants", To: "scope:b=" + end + " audience:https://b.example=" + end}
	e := w.last("agent.set")
	if len(e.Details.Change) != 1 || e.Details.Change[0] != want || !slices.Contains(e.Reasons, "ticket 7") {
		t.Errorf("of a grant it says %+v, %q", e.Details.Change, e.Reasons)
	}
	if _, err := w.Admin.SetAgent(t.Context(), "bot", api.Change{Scopes: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	want.From, want.To = want.To, "audience:https://b.example="+end
	if e := w.last("agent.set"); len(e.Details.Change) != 1 || e.Details.Change[0] != want {
		t.Errorf("of a list in the place of a grant it says %+v", e.Details.Change)
	}
}

// TestRevocationsAreCountedInTheLog, with what they were chosen by; what is
// refused has only that.
func TestRevocationsAreCountedInTheLog(t *testing.T) {
	w := newWorld(t)
	w.token(w.bot)
	before := w.Clock.Now().Add(-time.Minute).UTC().Truncate(time.Second)
	s := api.Selection{Owner: "alice", Labels: map[string]string{"env": "prod", "b": "1"}, IssuedSince: before}
	if _, err := w.Admin.Revoke(t.Context(), s); err == nil || !strings.Contains(err.Error(), "no such agent: none has the owner alice and the label b=1 and the label env=prod") {
		t.Fatalf("of labels that no agent has together: got %v", err)
	}
	e := w.last("credential.revoke")
	want := api.Selected{Owner: "alice", Labels: []string{"b=1", "env=prod"}, IssuedSince: before}
	if e.Details == nil || !reflect.DeepEqual(*e.Details.Selection, want) || e.Details.Counts != nil {
		t.Errorf("got %+v", e.Details)
	}
	delete(s.Labels, "b")
	receipt, err := w.Admin.Revoke(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if e := w.last("credential.revoke"); receipt.Certificates != 1 || receipt.Tokens != 1 || *e.Details.Counts != (api.Counts{Certificates: 1, Tokens: 1, Bindings: 1}) {
		t.Errorf("got %+v, receipt %+v", e.Details.Counts, receipt)
	}
	if _, err := w.Admin.Suspend(t.Context(), "boss", ""); err != nil {
		t.Fatal(err)
	}
	if e := w.last("agent.suspend"); *e.Details.Counts != (api.Counts{Agents: 1, Certificates: 1, Bindings: 1}) {
		t.Errorf("got %+v", e.Details)
	}
	if _, err := w.Admin.Revoke(t.Context(), api.Selection{Agent: "nobody"}); err == nil {
		t.Error("nobody was revoked")
	}
	if e := w.last("credential.revoke"); e.Decision != "deny" || e.Details.Selection.Agent != "nobody" || e.Details.Counts != nil || fmt.Sprint(e.Details.Codes) == "[]" {
		t.Errorf("refused: %+v", e.Details)
	}
}

// last returns the last event of an action.
func (w *world) last(action string) api.Event {
	w.t.Helper()
	all := w.Events()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Action == action {
			return all[i]
		}
	}
	w.t.Fatalf("no %s is on record", action)
	return api.Event{}
}

// TestRevocationsOfGroupsShowUnderEachAgent, also of a group that one event cannot name.
func TestRevocationsOfGroupsShowUnderEachAgent(t *testing.T) {
	w := newWorld(t)
	const n = 150
	for i := range n {
		w.Add(fmt.Sprintf("member-%03d", i), agents.Change{Owner: new("carol")})
	}
	w.Add("bystander", agents.Change{Owner: new("dave")})
	if _, err := w.Admin.Revoke(t.Context(), api.Selection{Owner: "carol"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Admin.Revoke(t.Context(), api.Selection{IssuedSince: w.Clock.Now().Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	revocations := func(agent string) (got []api.Event) {
		t.Helper()
		err := w.Admin.Events(t.Context(), api.EventFilter{Agent: agent, Action: "credential.revoke"}, func(line json.RawMessage) error {
			var e api.Event
			err := json.Unmarshal(line, &e)
			got = append(got, e)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	parts := map[int64]api.Event{}
	for i := range n {
		got := revocations(fmt.Sprintf("member-%03d", i))
		if len(got) != 1 || got[0].Subject != "owner carol" {
			t.Fatalf("of member %d: %+v", i, got)
		}
		parts[got[0].Details.Part] = got[0]
	}
	first, second := parts[0], parts[1]
	if len(parts) != 2 || first.Details.Selection == nil || first.Details.Counts == nil || second.Details.Selection != nil || second.Details.Counts != nil ||
		len(first.Details.Agents)+len(second.Details.Agents) != n || first.Request != second.Request || first.Request == "" || first.Seq+1 != second.Seq {
		t.Errorf("recorded is %+v, then %+v", first, second)
	}
	if got := revocations("bystander"); len(got) != 0 {
		t.Errorf("of one that is in no group: %+v", got)
	}
	if got := revocations("bot"); len(got) != 1 || !slices.Contains(got[0].Details.Agents, "bot") {
		t.Errorf("of one that lost a certificate by its time: %+v", got)
	}
}
