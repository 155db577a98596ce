package cedar

import (
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents/policies"
)

// TestCheck: what does not fit the schema is found, with its place.
func TestCheck(t *testing.T) {
	const scope = `permit(principal, action == Action::"token.mint", resource)`
	for policy, want := range map[string]string{
		`permit(principal, action, resource);`:                                                                                  "",
		scope + ` when { context.hour >= 9 && context.weekday < 6 };`:                                                           "",
		scope + ` when { context has risk && context.risk < 5 };`:                                                               "",
		scope + ` when { principal.hasTag("env") && principal.getTag("env") == "prod" };`:                                       "",
		scope + ` when { context has peer && context.peer.isInRange(ip("10.0.0.0/8")) };`:                                       "",
		`permit(principal in Role::"reader", action, resource);`:                                                                "",
		`permit(principal in Rolle::"x", action, resource);`:                                                                    "t.cedar:1:1: unrecognized entity type `Rolle`",
		`permit(principal, action == Action::"token.mnt", resource);`:                                                           "t.cedar:1:1: unrecognized action `Action::\"token.mnt\"`",
		scope + ` when { principal.ownr == "x" };`:                                                                              "t.cedar:1:1: attribute `ownr` on entity type `Agent` not found",
		`permit(principal, action, resource) when { context.scope == "x" };`:                                                    "t.cedar:1:1: attribute `scope` in context for Action::\"certificate.issue\" not found",
		scope + ` when { context.risk < 5 };`:                                                                                   "t.cedar:1:1: unable to guarantee safety of access to optional attribute `risk` in context for Action::\"token.mint\"",
		scope + ` when { principal.getTag("env") == "prod" };`:                                                                  "t.cedar:1:1: unable to guarantee safety of access to tag `\"env\"` on entity type `Agent`",
		scope + ` when { context.hour == "9" };`:                                                                                "t.cedar:1:1: the types Long and String are not compatible",
		scope + ` when { context.time < datetime("2026-13-01") };`:                                                              "t.cedar:1:1: error during extension function argument validation",
		scope + ` when { resource is Name };`:                                                                                   "t.cedar:1:1: the conditions are never true",
		scope + ` unless { true };`:                                                                                             "t.cedar:1:1: the conditions are never true",
		`permit(principal, action == Action::"token.mint", resource in Profile::"x");`:                                          "t.cedar:1:1: no action has such a principal and such a resource",
		"\n\n  " + `permit(principal is Owner, action, resource);`:                                                              "t.cedar:3:3: no action has such a principal and such a resource",
		`permit(principal in Label::"env", action, resource);`:                                                                  `t.cedar:1:1: Label::"env" never matches: a label is written KEY=VALUE`,
		`permit(principal == Agent::"Bot", action, resource);`:                                                                  `t.cedar:1:1: Agent::"Bot" never matches: `,
		`permit(principal, action, resource == Audience::"erp");`:                                                               `t.cedar:1:1: Audience::"erp" never matches: `,
		`permit(principal, action == Action::"certificate.issue", resource) when { resource in [Profile::"y", Profile::"x"] };`: "",
	} {
		s, err := Compile([]policies.File{{Name: "t.cedar", Text: policy}})
		if err != nil {
			t.Errorf("%s: %v", policy, err)
			continue
		}
		found := s.Check()
		switch {
		case want == "" && len(found) > 0:
			t.Errorf("%s: found %v", policy, found)
		case want != "" && (len(found) == 0 || !strings.HasPrefix(found[0].String(), want)):
			t.Errorf("%s: found %v, want %s", policy, found, want)
		}
	}
}

// TestCompileSaysWhere: an error has the file, the line and the column.
func TestCompileSaysWhere(t *testing.T) {
	const all = `permit(principal, action, resource);`
	for text, want := range map[string]string{
		`permit(principal, action, resource)`:                                     "t.cedar:1:36: want ; here",
		all + "\npermit(principal action, resource);":                             `t.cedar:2:18: want , here, not "action"`,
		all + "\n  // a comment\n allow(principal, action, resource);":            "t.cedar:3:",
		all + "\n" + `permit(principal, action, resource) when { "a\z" == "b" };`: "t.cedar:2:",
		all + "\n\n " + `permit(principal == Agent::"\q", action, resource);`:     "t.cedar:3:",
		`@id("a") ` + all + "\n" + `@id("a") ` + all:                              "t.cedar:2:1: the policy a has the same @id as the one at t.cedar:1:1",
		`@id("a b") ` + all: `t.cedar:1:1: @id("a b"): want`,
		"\n" + `permit(principal, action, resource) when {"` + strings.Repeat("x", maxPolicy) + `" == ""};`: "t.cedar:2:1: a policy of ",
		`permit(principal, action, resource) when { 9223372036854775808 == 1 };`:                            "t.cedar:1:",
	} {
		_, err := Compile([]policies.File{{Name: "t.cedar", Text: text}})
		if err == nil || !strings.HasPrefix(err.Error(), "invalid policy: "+want) {
			t.Errorf("%.200s\ngot  %v\nwant %s", text, err, want)
		}
	}
	if _, err := Compile([]policies.File{{Name: "t.rego", Text: ""}}); err == nil || !strings.Contains(err.Error(), ".cedar") {
		t.Errorf("a file of another language: %v", err)
	}
	many := strings.Repeat(all+"\n", maxPolicies+1)
	if _, err := Compile([]policies.File{{Name: "t.cedar", Text: many}}); err == nil {
		t.Errorf("%d policies compile", maxPolicies+1)
	}
}

func TestUnpermitted(t *testing.T) {
	for text, want := range map[string]int{
		"": 2, `permit(principal, action, resource);`: 0, `forbid(principal, action, resource);`: 2,
		`permit(principal, action == Action::"token.mint", resource);`:                                1,
		`permit(principal, action in [Action::"token.mint", Action::"certificate.issue"], resource);`: 0,
		`permit(principal, action in Action::"token.mint", resource);`:                                1,
		`permit(principal, action in [Action::"other"], resource);`:                                   2,
	} {
		if got := compile(t, text).Unpermitted(); len(got) != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// FuzzCompile: what compiles has as many policies as it has chunks, and compiles to the same
// when each policy is printed.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"", "// x", `permit(principal, action, resource);`, `@id("a;b") permit(principal, action, resource) when { "x;\"" == "//" };`,
		"permit(principal,action,resource);// ;\n/* ; */ forbid(principal, action, resource) unless { principal.owner like \"a*\" };",
		`permit(principal, action, resource) when { if true then [1, 2].contains(3) else {a: 1} has a };`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Compile([]policies.File{{Name: "t.cedar", Text: text}})
		if err != nil {
			return
		}
		var chunks int
		for _, c := range split(text) {
			if strings.HasSuffix(c.text, ";") {
				chunks++
			}
		}
		if chunks != s.Policies() {
			t.Fatalf("%q: %d chunks, and %d policies", text, chunks, s.Policies())
		}
		s.Check()
		var printed strings.Builder
		for _, r := range s.rules {
			printed.Write(r.policy.MarshalCedar())
			printed.WriteString("\n")
		}
		again, err := Compile([]policies.File{{Name: "t.cedar", Text: printed.String()}})
		if err != nil {
			if len(printed.String()) < maxPolicy {
				t.Fatalf("%q prints as %q: %v", text, printed.String(), err)
			}
			return
		}
		for i, r := range again.rules {
			if got, want := string(r.policy.MarshalCedar()), string(s.rules[i].policy.MarshalCedar()); got != want {
				t.Fatalf("%q became %q", want, got)
			}
		}
	})
}
