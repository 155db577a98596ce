package audit

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// members returns the JSON names of a struct's members.
func members(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// document writes docs/audit-events.md.
func document() string {
	var b strings.Builder
	b.WriteString(`# Audit events

Every decision that brevet takes is an event of the audit log, which
` + "`brevet audit`" + ` shows as one JSON object a line. This page is made from the
table of actions in the program: ` + "`UPDATE=1 go test ./storage/audit -run TestActionsAreDocumented`" + `
updates it.

An event has these members:

| member | meaning |
|---|---|
| ` + "`seq`" + ` | its position in the log, from 0 |
| ` + "`time`" + ` | when it was decided, in UTC |
| ` + "`actor`" + ` | who asked: ` + "`uid=0`" + `, ` + "`operator:alice`" + ` for an operator with a name, the SPIFFE ID of an agent, ` + "`system`" + ` for the server itself, or what a bearer presented |
| ` + "`on_behalf_of`" + ` | for whom, if not for itself |
| ` + "`action`" + ` | what was asked for: one of those below |
| ` + "`subject`" + ` | what it was done to |
| ` + "`decision`" + ` | ` + "`allow`" + `, ` + "`deny`" + `, or ` + "`ask`" + ` if somebody must approve it first |
| ` + "`reasons`" + ` | why, for people |
| ` + "`request`" + ` | what belongs to one request shares this |
| ` + "`credential`" + ` | serial number of a certificate or jti of a token, in hexadecimal |
| ` + "`details`" + ` | the same for programs; a member is left out if there is nothing to say |

A refusal of any action has the member ` + "`codes`" + ` in its details. The code of an ACME
problem begins with ` + "`acme_`" + `, such as ` + "`acme_bad_csr`" + ` for ` + "`badCSR`" + `. The code ` + "`other`" + `
stands for a reason that has none of its own.

Events that version 0.1 recorded have no details, because it cannot read them. Nor have
those of ` + "`system`" + `, such as a start: so you can go back from an upgrade to version 0.1
until the first event of an agent or operator.

Nothing sets two members yet. ` + "`person`" + ` is reserved for the person who acted, where the
actor is an account that people share, and ` + "`chain`" + ` for those who delegated to the actor,
the first of them first.

Details say what was granted. Those of a refusal say what was asked for: ` + "`names`" + `,
` + "`profile`" + `, ` + "`scopes`" + ` and ` + "`audiences`" + `, as far as they had been read by then.
The log keeps 3 items of each list from a refused agent or stranger, and how many more
there were.

A quota that an agent has used up is a refusal with the code ` + "`quota`" + `. A public key that was
registered or removed is in the ` + "`change`" + ` of the field ` + "`keys`" + `, by its SHA-256.

Events about keys of the authority name the new key in ` + "`to`" + `, by its identifier. If keys of
other purposes were made along with it, each is in ` + "`change`" + `: the field is its purpose, and
` + "`to`" + ` its identifier.

The member ` + "`agents`" + ` names the agents that an operation on many touched: those that a
selection chose by owner or label, or else those that lost something. ` + "`brevet audit list --agent`" + `
finds the event under each of them. One event names 128. Events with the same ` + "`request`" + ` name
the others. They have the member ` + "`part`" + `, from 1, and neither ` + "`selection`" + ` nor ` + "`counts`" + `.

The member ` + "`trace`" + ` of any request is the trace-id of its ` + "`traceparent`" + ` (W3C Trace Context), if
it had one. The client chose it: it links the event to a trace, and proves nothing.

The member ` + "`proxy`" + ` names the agent that forwarded the client's certificate
([proxies](proxies.md)). Versions before 0.4 cannot read a store whose log has it.

The member ` + "`proof`" + ` is a code. ` + "`certificate`" + ` is the serial number of the certificate that the
client authenticated with, or that its token is bound to.

| proof | in the reasons |
|---|---|
` + proofs() + `
| action | meaning | whose it is | subject | details |
|---|---|---|---|---|
`)
	for _, a := range Actions() {
		details := "none"
		if len(a.Details) > 0 {
			details = "`" + strings.Join(a.Details, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", a.Action, a.Meaning, a.By, a.Subject, details)
	}
	return b.String()
}

// proofs returns the rows of the table of evidence. Evidence of the server itself is left out, because it is not recorded.
func proofs() string {
	var b strings.Builder
	for _, e := range evidence {
		if e.code != codeServer {
			fmt.Fprintf(&b, "| `%s` | %s |\n", e.code, e.words)
		}
	}
	return b.String()
}

// TestActionsAreDocumented compares docs/audit-events.md with the table of actions.
func TestActionsAreDocumented(t *testing.T) {
	const golden = "../../docs/audit-events.md"
	got := document()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || string(want) != got {
		t.Errorf("%s is not what the table of actions says (%v): run UPDATE=1 go test ./storage/audit -run TestActionsAreDocumented", golden, err)
	}
}

func TestTableOfActionsIsComplete(t *testing.T) {
	known := members(reflect.TypeFor[Details]())
	used := []string{"codes", "trace", "person", "chain"} // of every refusal; of any request; of none yet
	seen := map[Action]bool{}
	for _, a := range Actions() {
		if a.Meaning == "" || a.By == 0 || a.By.String() == "" || a.Subject == "" || seen[a.Action] || strings.Count(string(a.Action), ".") == 0 {
			t.Errorf("%+v", a)
		}
		seen[a.Action] = true
		for _, d := range a.Details {
			if !slices.Contains(known, d) {
				t.Errorf("%s: details have no member %q", a.Action, d)
			}
		}
		used = append(used, a.Details...)
	}
	for _, m := range known {
		if !slices.Contains(used, m) {
			t.Errorf("no action has the detail %q", m)
		}
	}
}
