package cedar

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A logged log is one in the making.
type logged struct {
	t      *testing.T
	events []audit.Event
}

func (l *logged) add(action audit.Action, subject string, decision audit.Decision, d audit.Details) {
	e := audit.Event{Seq: int64(len(l.events)), Time: time.Date(2026, 3, 2, 9, len(l.events), 0, 0, time.UTC), Actor: "x", Action: action, Subject: subject, Decision: decision, Details: &d}
	l.events = append(l.events, e)
}

func (l *logged) change(action audit.Action, subject string, fields ...string) {
	var d audit.Details
	for i := 0; i < len(fields); i += 2 {
		d.Change = append(d.Change, audit.FieldChange{Field: fields[i], To: fields[i+1]})
	}
	l.add(action, subject, audit.Allow, d)
}

func (l *logged) replay(policy string, since time.Time) Outcome {
	l.t.Helper()
	r := NewReplay(compile(l.t, policy), time.UTC, since)
	for _, e := range l.events {
		raw, err := json.Marshal(e)
		if err != nil {
			l.t.Fatal(err)
		}
		if err := r.Read(raw); err != nil {
			l.t.Fatal(err)
		}
	}
	return r.Outcome()
}

func newLog(t *testing.T) *logged {
	l := &logged{t: t}
	token := func(scopes ...string) audit.Details {
		return audit.Details{Scopes: scopes, Audiences: []string{"https://x.example"}, Peer: "10.0.0.1", Proof: "private_key_jwt"}
	}
	denied := func(d audit.Details, codes ...string) audit.Details { d.Codes = codes; return d }
	l.change(audit.AgentAdd, "bot", "owner", "finance", "labels", "env=prod note=it is mine", "scopes", "a b", "roles", "reader", "grants", "scope:c=2026-03-02T09:05:00Z role:writer=2026-03-02T09:05:00Z", "expires", "2027-01-01T00:00:00Z")
	l.add(audit.TokenMint, "bot", audit.Allow, token("a", "b"))                                                                    // 1
	l.add(audit.TokenMint, "bot", audit.Deny, denied(token("c"), "scope_not_granted"))                                             // 2: no matter of policies
	l.add(audit.TokenMint, "bot", audit.Deny, denied(token("a"), "policy_denied", "policy/1"))                                     // 3
	l.add(audit.TokenMint, "bot", audit.Deny, denied(token("a", "… (9 more items)"), "policy_denied"))                             // 4
	l.add(audit.TokenMint, "other", audit.Allow, token("a"))                                                                       // 5: the log does not know it
	l.change(audit.AgentSet, "bot", "labels", "env=test", "owner", "shop", "expires", "")                                          // 6
	l.add(audit.TokenMint, "bot", audit.Allow, token("a"))                                                                         // 7
	l.add(audit.CertificateIssue, "bot", audit.Allow, audit.Details{Profile: "default", Names: []string{"x.example", "10.0.0.9"}}) // 8
	l.add(audit.CertificateIssue, "operator/alice", audit.Allow, audit.Details{Profile: "default"})                                // 9
	l.add(audit.CertificateIssue, "brevet", audit.Allow, audit.Details{Profile: "default"})                                        // 10
	l.add(audit.AgentSet, "bot", audit.Deny, audit.Details{Change: []audit.FieldChange{{Field: "owner", To: "thief"}}})
	return l
}

// TestReplay: requests are decided again about the agent as it was, and what the policies decide
// otherwise is counted.
func TestReplay(t *testing.T) {
	l := newLog(t)
	all := `permit(principal, action, resource);`
	for _, c := range []struct {
		policy                                               string
		decided, same, refused, narrowed, permitted, unknown int64
		differences                                          string
	}{
		{all, 4, 3, 0, 0, 1, 2, `bot token.mint Audience::"https://x.example" a deny>permit 1 #3`},
		{"", 4, 1, 3, 0, 0, 2, `bot token.mint Audience::"https://x.example" a permit>deny 2 #7;` +
			`bot certificate.issue Name::"10.0.0.9"  permit>deny 1 #8;bot certificate.issue Name::"x.example"  permit>deny 1 #8;bot certificate.issue Profile::"default"  permit>deny 1 #8;` +
			`bot token.mint Audience::"https://x.example" b permit>deny 1 #1`},
		{all + `forbid(principal, action, resource) when { context has scope && context.scope == "b" };`, 4, 2, 0, 1, 1, 2,
			`bot token.mint Audience::"https://x.example" a deny>permit 1 #3;bot token.mint Audience::"https://x.example" b permit>deny 1 #1`},
		{`permit(principal in Label::"env=prod", action, resource) when { principal.owner == "finance" && principal has expires && principal.getTag("note") == "it is mine" };
			permit(principal in Owner::"shop", action == Action::"certificate.issue", resource) unless { resource is Name && resource.type == "ip" };`, 4, 1, 2, 0, 1, 2,
			`bot certificate.issue Name::"10.0.0.9"  permit>deny 1 #8;bot token.mint Audience::"https://x.example" a permit>deny 1 #7;bot token.mint Audience::"https://x.example" a deny>permit 1 #3`},
	} {
		out := l.replay(c.policy, time.Time{})
		var said []string
		for _, d := range out.Differences {
			said = append(said, strings.Join([]string{d.Agent, string(d.Action), d.Resource, d.Scope, d.Was + ">" + d.Is, itoa(d.Count), "#" + itoa(d.Event)}, " "))
		}
		if got := strings.Join(said, ";"); got != c.differences {
			t.Errorf("%s\ngot  %s\nwant %s", c.policy, got, c.differences)
		}
		out.Differences = nil
		if want := (Outcome{Decided: c.decided, Same: c.same, Refused: c.refused, Narrowed: c.narrowed, Permitted: c.permitted, Unknown: c.unknown}); !reflect.DeepEqual(out, want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", c.policy, out, want)
		}
	}
	// The role writer was granted until 09:05.
	if out := l.replay(`permit(principal in Role::"writer", action, resource);`, time.Time{}); out.Same != 1 || out.Permitted != 1 || out.Refused != 2 {
		t.Errorf("by a role that ends: %+v", out)
	}
	// The role reader is removed at the end, and then another one is made.
	if out := l.replay(`permit(principal in Role::"reader", action, resource);`, time.Time{}); out.Same != 3 || out.Permitted != 1 {
		t.Errorf("by a role: %+v", out)
	}
	removed := *l
	removed.events = append([]audit.Event{}, l.events...)
	removed.change(audit.RoleRemove, "reader")
	last := l.events[7]
	last.Seq, last.Time = 99, last.Time.Add(time.Hour)
	removed.events = append(removed.events, last)
	if out := removed.replay(`permit(principal in Role::"reader", action, resource);`, time.Time{}); out.Refused != 1 {
		t.Errorf("by a role that was removed: %+v", out)
	}
	if out := l.replay(all, l.events[7].Time); out.Decided != 2 || out.Same != 2 {
		t.Errorf("since entry 7: %+v", out)
	}
}

func itoa(n int64) string { return string(must(json.Marshal(n))) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestReplayKnowsRegisteredAgents: an agent that was registered before the log begins is as the
// registry has it.
func TestReplayKnowsRegisteredAgents(t *testing.T) {
	l := newLog(t)
	r := NewReplay(compile(t, `permit(principal in Owner::"them", action, resource);`), time.UTC, l.events[5].Time)
	r.Know(agents.Agent{Name: "other", Owner: "them"})
	if err := r.Read(must(json.Marshal(l.events[5]))); err != nil {
		t.Fatal(err)
	}
	if out := r.Outcome(); out.Same != 1 {
		t.Errorf("got %+v", out)
	}
	if err := r.Read([]byte("nothing")); err == nil {
		t.Error("a line that is no entry is read")
	}
}

// TestExplain: an explanation has the text of the policies that decided, and what they read.
func TestExplain(t *testing.T) {
	l := newLog(t)
	s := compile(t, examplePolicies)
	l.add(audit.TokenMint, "bot", audit.Allow, audit.Details{Scopes: []string{"a"}, Audiences: []string{"https://x.example"}, Codes: []string{"policy/4/hours", "policy/4/gone"}})
	var h History
	for _, e := range l.events {
		h.Follow(&e)
	}
	last := &l.events[len(l.events)-1]
	asked, ok := h.Asked(last)
	if !ok || asked.Version != 4 {
		t.Fatal(asked, ok)
	}
	out, err := s.Explain(last, &asked, "Europe/Berlin")
	if err != nil || len(out.Rules) != 1 || out.Rules[0].ID != "hours" || out.Rules[0].Place != "test.cedar:1:1" || !strings.Contains(out.Rules[0].Text, `context.hour >= 9`) {
		t.Errorf("got %+v, %v", out, err)
	}
	for _, want := range []string{`"owner":"shop"`, `"env=test"`, `"action":"token.mint"`, `"zone":"Europe/Berlin"`} {
		if !strings.Contains(string(out.Input), want) {
			t.Errorf("the input lacks %s: %s", want, out.Input)
		}
	}
	if _, err := s.Explain(last, &asked, "Mars/Here"); err == nil {
		t.Error("there is a zone on Mars")
	}
}

// FuzzEvent: no line of a file has a replay fail in another way than by an error.
func FuzzEvent(f *testing.F) {
	for _, e := range newLog(&testing.T{}).events {
		f.Add(must(json.Marshal(e)))
	}
	s := compile(f, examplePolicies)
	f.Fuzz(func(t *testing.T, line []byte) {
		r := NewReplay(s, time.UTC, time.Time{})
		r.Know(agents.Agent{Name: "bot"})
		if err := r.Read(line); err != nil {
			return
		}
		out := r.Outcome()
		if out.Decided != out.Same+out.Refused+out.Narrowed+out.Permitted || out.Decided+out.Unknown > 1 {
			t.Fatalf("%q: %+v", line, out)
		}
	})
}
