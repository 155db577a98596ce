package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents/policy/cedar"
	"github.com/brevet-ca/brevet/server/admin/api"
)

func policyExplainCommand() *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "say which policies decided about a request on record",
		ArgsUsage: "EVENT",
		Description: `Shows which policies of which version decided about a request that is on record, with
their text, and what they were asked about: the agent as it was then, and what it asked
for. EVENT is the number of the entry, as brevet audit list shows it.

Example:
  $ brevet audit list --decision deny --limit 5
  $ brevet policy explain 1042`,
		Action: policyExplain,
	}
}

func policyExplain(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	out, err := explained(c, server)
	if err != nil {
		return err
	}
	return answer(c, out, nil, func(p *page) { printExplanation(p, out) })
}

// explained explains an entry by the policies of the version that decided.
func explained(c *cli.Context, server *api.Client) (out cedar.Explanation, err error) {
	number, _ := strconv.ParseInt(c.Args().First(), 10, 64) // entry checked it
	raw, err := entryOf(c, server, number)
	if err != nil {
		return out, err
	}
	last, err := cedar.ParseEvent(raw)
	if err != nil {
		return out, err
	}
	none := fmt.Errorf("no policies decided about entry %d: the registry alone did, or it is no such request", number)
	if !cedar.Decides(last.Action) {
		return out, none
	}
	var h cedar.History
	if now, err := server.Agent(c.Context, last.Subject); err == nil {
		h.Know(registered(now.Agent).Agent) // if the log does not begin with its registration
	}
	for _, f := range []api.EventFilter{{Agent: last.Subject, Action: "agent", Before: number}, {Action: "role", Before: number}} {
		err := server.Events(c.Context, f, func(raw json.RawMessage) error {
			e, err := cedar.ParseEvent(raw)
			if err == nil {
				h.Follow(e)
			}
			return err
		})
		if err != nil {
			return out, err
		}
	}
	asked, ok := h.Asked(last)
	if !ok || asked.Version == 0 {
		return out, none
	}
	v, err := server.PolicyVersion(c.Context, fmt.Sprint(asked.Version))
	if err != nil {
		return out, err
	}
	set, err := cedar.Compile(versionFiles(v))
	if err != nil {
		return out, err
	}
	return set.Explain(last, &asked, v.Zone)
}

// entryOf returns an entry of the log.
func entryOf(c *cli.Context, server *api.Client, number int64) (found json.RawMessage, err error) {
	err = server.Events(c.Context, api.EventFilter{From: number, Before: number + 1}, func(raw json.RawMessage) error {
		found = bytes.Clone(raw)
		return nil
	})
	if err == nil && found == nil {
		err = fmt.Errorf("the log has no entry %d", number)
	}
	return found, err
}

func printExplanation(p *page, out cedar.Explanation) {
	var t table
	t.pair("Entry", fmt.Sprint(out.Event))
	t.pair("Decision", string(out.Decision))
	t.pair("Version", fmt.Sprint(out.Version))
	p.table(t)
	if len(out.Rules) == 0 {
		p.line("No policy permits this.")
	}
	for _, r := range out.Rules {
		p.line("")
		p.line("%s", p.in(bold, printable(r.ID+", at "+r.Place+":")))
		p.line("%s", printableText(r.Text))
	}
	p.line("")
	p.line("Asked again, these policies say:")
	for _, a := range out.Verdict.Answers {
		p.line("  %s", printable(answerText(a)))
	}
	if out.Partial {
		p.line("The entry does not have all that was asked for.")
	}
	var input bytes.Buffer
	if json.Indent(&input, out.Input, "", "  ") == nil {
		p.line("")
		p.line("Input:")
		p.line("%s", printableText(input.String()))
	}
}

func answerText(a cedar.Answer) string {
	text := map[bool]string{true: "permit ", false: "deny   "}[a.Allowed] + a.Resource
	if a.Scope != "" {
		text += " " + a.Scope
	}
	if len(a.Rules) > 0 {
		text += ", by " + strings.Join(a.Rules, " ")
	}
	for _, f := range a.Failures {
		text += ", " + f.Rule + " failed: " + f.Message
	}
	return text
}
