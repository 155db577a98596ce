package cedar

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestSameAsCedar compares our answers with those of Cedar's own implementation
// (@cedar-policy/cedar-wasm), for random policies and requests.
func TestSameAsCedar(t *testing.T) {
	n := 300
	if os.Getenv("BREVET_LONG") != "" {
		n = 10_000
	}
	ask := startWasm(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	allowed, failed := 0, 0
	for range n {
		set, texts := randomSet(t, r)
		q := randomRequest(r)
		zone := []*time.Location{time.UTC, berlin(t)}[r.IntN(2)]
		for _, a := range set.Decide(q, zone).Answers {
			question := asked(q, zone, a)
			got, err := ask(question, texts)
			if err != nil {
				t.Fatal(err)
			}
			var failures []string
			for _, f := range a.Failures {
				failures = append(failures, f.Rule)
			}
			want := wasmAnswer{Decision: "deny", Reasons: a.Rules, Errors: failures}
			if len(a.Rules) > 0 && !forbids(set, a.Rules[0]) {
				want.Decision = "allow"
			}
			if got.Decision != want.Decision || sorted(got.Reasons) != sorted(want.Reasons) || sorted(got.Errors) != sorted(want.Errors) || a.Allowed != (got.Decision == "allow" && len(got.Errors) == 0) {
				t.Fatalf("Cedar says %+v, and we say %+v (%+v)\n%s\n%+v", got, want, a, strings.Join(slices.Sorted(mapValues(texts)), "\n"), q)
			}
			if a.Allowed {
				allowed++
			}
			if len(failures) > 0 {
				failed++
			}
		}
	}
	if allowed < n/20 || failed < n/20 {
		t.Errorf("of %d requests only %d were allowed and %d failed: the policies are too much alike", n, allowed, failed)
	}
}

func forbids(s *Set, id string) bool {
	r, _ := s.rule(id)
	return r.Effect == "forbid"
}

func mapValues(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

type wasmAnswer struct {
	Decision string   `json:"decision"`
	Reasons  []string `json:"reasons"`
	Errors   []string `json:"errors"`
	Failure  string   `json:"failure"`
}

// asked returns the question that an answer is about.
func asked(q *Request, zone *time.Location, a Answer) *question {
	ask := question{Request: q, local: q.Time.In(zone)}
	for _, aud := range q.Audiences {
		if e := (cedar.Entity{UID: cedar.NewEntityUID(typeAudience, cedar.String(aud))}); e.UID.String() == a.Resource {
			ask.audience, ask.resource = aud, e
		}
	}
	for _, n := range q.Names {
		if e := nameEntity(n, q.Profile); e.UID.String() == a.Resource {
			ask.resource = e
		}
	}
	if e := (cedar.Entity{UID: cedar.NewEntityUID(typeProfile, cedar.String(q.Profile))}); e.UID.String() == a.Resource {
		ask.resource = e
	}
	for _, s := range q.Scopes {
		if string(s) == a.Scope {
			ask.scope = s
		}
	}
	return &ask
}

// startWasm starts Cedar's implementation and returns what asks it.
func startWasm(t *testing.T) func(*question, map[string]string) (wasmAnswer, error) {
	node := peer.Find(t, "node")
	modules, err := filepath.Abs("../../../bin/npm/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "@cedar-policy/cedar-wasm")); err != nil {
		peer.Missing(t, "@cedar-policy/cedar-wasm is missing: make peers installs it")
	}
	cmd := exec.Command(node, "testdata/wasm.cjs", modules)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	lines := bufio.NewReader(out)
	return func(q *question, texts map[string]string) (answer wasmAnswer, err error) {
		agent := agentEntity(q.Request)
		line, err := json.Marshal(map[string]any{
			"principal": agent.UID, "action": actionUID(q.Action), "resource": q.resource.UID, "context": record(contextAttributes, q.Action, q),
			"policies": map[string]any{"staticPolicies": texts}, "entities": []cedar.Entity{agent, q.resource},
		})
		if err != nil {
			return answer, err
		}
		if _, err := in.Write(append(line, '\n')); err != nil {
			return answer, err
		}
		reply, err := lines.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(reply, &answer)
		}
		if err == nil && answer.Failure != "" {
			err = fmt.Errorf("Cedar refused %s: %s", line, answer.Failure)
		}
		return answer, err
	}
}

// randomSet returns a set of up to eight policies, and the text of each by its identifier.
func randomSet(t *testing.T, r *rand.Rand) (*Set, map[string]string) {
	texts := map[string]string{}
	var all strings.Builder
	for i := range 1 + r.IntN(8) {
		id := fmt.Sprintf("p%d", i)
		texts[id] = randomPolicy(r)
		fmt.Fprintf(&all, "@id(%q)\n%s\n", id, texts[id])
	}
	s, err := Compile([]policies.File{{Name: "random.cedar", Text: all.String()}})
	if err != nil {
		t.Fatalf("%v\n%s", err, all.String())
	}
	return s, texts
}

func randomPolicy(r *rand.Rand) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	text := pick("permit", "permit", "permit", "forbid") + "(" +
		pick("principal", "principal", "principal == Agent::\"bot\"", "principal in Owner::\"finance\"", "principal in Label::\"env=prod\"", "principal is Agent in Role::\"reader\"") + ", " +
		pick("action", "action", "action == Action::\"token.mint\"", "action in [Action::\"token.mint\", Action::\"certificate.issue\"]", "action == Action::\"certificate.issue\"") + ", " +
		pick("resource", "resource", "resource == Audience::\"https://x.example\"", "resource in Profile::\"default\"", "resource is Audience", "resource is Name in Profile::\"batch\"") + ")"
	for range r.IntN(3) {
		text += " " + pick("when", "unless") + " { " + randomCondition(r, 3) + " }"
	}
	return text + ";"
}

// randomCondition returns a condition, which may fail on some requests.
func randomCondition(r *rand.Rand, depth int) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	if depth > 0 && r.IntN(2) == 0 {
		a, b := "("+randomCondition(r, depth-1)+")", "("+randomCondition(r, depth-1)+")"
		return pick("("+a+" && "+b+")", "("+a+" || "+b+")", "!"+a, "(if "+a+" then "+b+" else "+randomCondition(r, 0)+")", "("+a+" == "+b+")")
	}
	number := func() string { return fmt.Sprint(r.IntN(24)) }
	return pick(
		"context.hour "+pick("<", "<=", ">", ">=", "==", "!=")+" "+number(),
		"context.minute_of_day - "+number()+" * 60 > "+number()+" + 3",
		"context.hour + 9223372036854775797 > 0", // which may be too large
		"context.weekday < 6",
		"context has scope && ["+pick(`"a"`, `"b"`)+", \"c\"].contains(context.scope)",
		"context.scope like "+pick(`"a*"`, `"*"`, `"b\*"`),
		"context.audience == \"https://y.example\"",
		"context.peer.isInRange(ip(\"10.0.0.0/8\"))",
		"context has peer && (context.peer.isIpv6() || context.peer.isLoopback())",
		"context has risk && context.risk > 50",
		"context.time < datetime(\"2026-0"+fmt.Sprint(1+r.IntN(9))+"-15\")",
		"context.time.toTime() >= duration(\""+number()+"h30m\")",
		"context.time.durationSince(principal.created) > duration(\"300d\")",
		"context.proof == \"private_key_jwt\"",
		"principal.owner == "+pick(`"finance"`, `"shop"`),
		"principal.purpose like \"reads*\"",
		"principal has purpose",
		"principal.roles.contains(\"reader\")",
		"principal.roles.containsAny([\"writer\", \"other\"])",
		"principal in ["+pick(`Role::"reader"`, `Label::"team=test"`)+", Owner::\"shop\"]",
		"principal.hasTag(\"env\") && principal.getTag(\"env\") == \"prod\"",
		"principal.getTag(\"team\") like \"t*\"",
		"resource is Name && resource.type == \"dns\"",
		"resource.type == \"ip\"",
		"principal == resource",
		pick("true", "false"),
	)
}
