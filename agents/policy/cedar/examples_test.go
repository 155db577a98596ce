package cedar

import (
	"errors"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
)

const someExamples = `
zone: Europe/Berlin
agents:
  bot: {owner: finance, labels: {team: billing}, roles: [reader], created: 2025-01-01}
examples:
  - {name: before, agent: bot, scope: a, audience: https://x.example, time: 2026-03-02T08:59, verdict: deny}
  - {name: nine, agent: bot, scope: a, audience: https://x.example, time: 2026-03-02T09:00, verdict: permit, policies: [hours]}
  - {name: by offset, agent: bot, scope: a b, audience: [https://x.example], time: "2026-03-02T16:59:59Z", verdict: permit, granted: [a]}
  - {name: six, agent: bot, scope: a, audience: https://x.example, time: 2026-03-02 18:00, peer: 10.0.0.1, verdict: deny}
  - {name: certificate, agent: bot, action: certificate.issue, names: x.example 10.0.0.1, verdict: permit}
`

const examplePolicies = `@id("hours") permit(principal in Label::"team=billing", action == Action::"token.mint", resource) when { context.scope == "a" && context.hour >= 9 && context.hour < 18 };
permit(principal, action == Action::"certificate.issue", resource in Profile::"default");`

// TestExamples: examples are judged by their zone, and one that is wrong says what came out.
func TestExamples(t *testing.T) {
	s := compile(t, examplePolicies)
	x, err := ParseExamples([]byte(someExamples))
	if err != nil {
		t.Fatal(err)
	}
	all, err := x.Test(s, nil)
	if err != nil || len(all) != 5 {
		t.Fatal(all, err)
	}
	for _, e := range all {
		if !e.Passed {
			t.Errorf("%+v", e)
		}
	}
	x.List[1].Policies, x.List[2].Granted, x.List[4].Verdict = []string{"other"}, []string{"b", "a"}, "deny"
	if all, err = x.Test(s, nil); err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int]string{1: "permit by hours, want permit by other", 2: "permit a, want permit a b", 4: "permit, want deny"} {
		if got := all[i].Got + ", want " + all[i].Want; all[i].Passed || got != want {
			t.Errorf("got %s; want %s", got, want)
		}
	}
}

// TestExampleOfARegisteredAgent: an agent that the file does not have is asked for.
func TestExampleOfARegisteredAgent(t *testing.T) {
	x, err := ParseExamples([]byte(`{"examples": [{"agent": "bot", "scope": "a", "audience": "https://x.example", "time": "2026-03-02T09:00:00Z", "verdict": "permit"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	s := compile(t, examplePolicies)
	if _, err := x.Test(s, nil); err == nil || !strings.Contains(err.Error(), `no agent "bot"`) {
		t.Errorf("without a registry: %v", err)
	}
	all, err := x.Test(s, func(name string) (Registered, error) {
		return Registered{Agent: agents.Agent{Name: agents.Name(name), Labels: map[string]string{"team": "billing"}}}, nil
	})
	if err != nil || len(all) != 1 || !all[0].Passed || all[0].Name != "example 1" {
		t.Errorf("got %+v, %v", all, err)
	}
	gone := errors.New("no such agent")
	if _, err := x.Test(s, func(string) (Registered, error) { return Registered{}, gone }); !errors.Is(err, gone) {
		t.Errorf("an agent that is not there: %v", err)
	}
}

func TestExamplesThatMakeNoSense(t *testing.T) {
	for text, want := range map[string]string{
		"":             "EOF",
		"examples: []": "there is none",
		"zone: Mars/Here\nexamples: [{agent: bot, verdict: deny}]":                 "zone",
		"examples: [{agent: bot, verdict: maybe}]":                                 "verdict",
		"examples: [{agent: bot, verdict: deny, colour: red}]":                     "colour",
		"examples: [{agent: bot, verdict: deny, action: agent.add}]":               "action",
		"examples: [{agent: bot, verdict: deny, time: noon}]":                      "time",
		"examples: [{agent: bot, verdict: deny, peer: here}]":                      "peer",
		"agents: {Bot: {}}\nexamples: [{agent: Bot, verdict: deny}]":               "name",
		"agents: {bot: {labels: {A: b}}}\nexamples: [{agent: bot, verdict: deny}]": "label",
		"agents: {bot: {role: x}}\nexamples: [{agent: bot, verdict: deny}]":        "role",
		"examples: [{agent: bot, verdict: deny}]\n---\na: b":                       "more than one document",
		"examples: {a: b}": "",
	} {
		_, err := ParseExamples([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, agents.ErrInvalid) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// FuzzExamples: what is read is judged without an error.
func FuzzExamples(f *testing.F) {
	f.Add(someExamples)
	f.Add(`{"examples": [{"agent": "bot", "verdict": "deny"}], "agents": {"bot": {}}}`)
	s := compile(f, examplePolicies)
	f.Fuzz(func(t *testing.T, text string) {
		x, err := ParseExamples([]byte(text))
		if err != nil {
			return
		}
		all, err := x.Test(s, func(name string) (Registered, error) {
			return Registered{Agent: agents.Agent{Name: agents.Name(name)}}, nil
		})
		if err != nil || len(all) != len(x.List) {
			t.Fatalf("%q: %v, %v", text, all, err)
		}
	})
}
