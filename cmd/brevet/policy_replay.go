package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents/policy/cedar"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/durable"
)

func policyReplayCommand() *cli.Command {
	return &cli.Command{
		Name:      "replay",
		Usage:     "decide again, by other policies, what is on record",
		ArgsUsage: policyFiles,
		Description: `Decides what agents were granted since a time, and what policies refused, by the policies
in FILE or DIR, and prints what would have another answer, with how often that would have
been. Agents have the roles, labels and owners that they had then. What the registry refused is
left out, for policies cannot give it. Nothing changes.

With --log, the events are those of an export of the log (brevet audit export), and no
server is needed. The exit status is 1 if there is any difference.

Examples:
  $ brevet policy replay policies/ --since 30d
  $ brevet policy replay policies/ --log audit.jsonl --zone Europe/Berlin`,
		Flags: []cli.Flag{
			text("since", "only requests since `T`: RFC 3339, a date, or how long ago, such as 2h or 30d"),
			text("log", "`FILE` with an export of the audit log, instead of the server's"),
			text("zone", "time `ZONE` of the policies; else that of the policies in force, or UTC"),
			outputFlag(),
		},
		Action: policyReplay,
	}
}

func policyReplay(c *cli.Context) error {
	set, err := compiled(c, c.Args().First())
	if err != nil {
		return err
	}
	since, err := instantOf(c, "since", ago)
	if err != nil {
		return err
	}
	out, err := replayed(c, set, since)
	if err != nil {
		return err
	}
	err = answer(c, out, nil, func(p *page) {
		if len(out.Differences) > 0 {
			printDifferences(p, out)
		}
		p.line("%s decided again: %d alike, %d refused now, %d with fewer scopes, %d permitted now.", count(int(out.Decided), "request"), out.Same, out.Refused, out.Narrowed, out.Permitted)
		if out.Unknown > 0 {
			p.line("%s left out: the log does not have all about them.", count(int(out.Unknown), "request"))
		}
	})
	if err == nil && out.Decided != out.Same {
		err = errors.New("the policies decide otherwise than what is on record")
	}
	return err
}

func printDifferences(p *page, out cedar.Outcome) {
	var t table
	t.styled(bold, "COUNT", "AGENT", "ACTION", "RESOURCE", "SCOPE", "WAS", "IS", "POLICIES", "LAST ENTRY")
	for _, d := range out.Differences {
		t.row(fmt.Sprint(d.Count), d.Agent, string(d.Action), d.Resource, orDash(d.Scope), d.Was, d.Is, orDash(strings.Join(d.Rules, " ")), fmt.Sprint(d.Event))
	}
	p.tableOr("", t)
}

// replayed replays a file or the server's log.
func replayed(c *cli.Context, set *cedar.Set, since time.Time) (out cedar.Outcome, err error) {
	zone, err := time.LoadLocation(c.String("zone"))
	if err != nil {
		return out, misuse(c, "--zone: invalid zone %q: use the name of a time zone, such as Europe/Berlin", c.String("zone"))
	}
	if c.IsSet("log") {
		return replayFile(c, set, zone, since)
	}
	server, err := dialEvents(c, api.EventFilter{Since: since})
	if err != nil {
		return out, err
	}
	if !c.IsSet("zone") {
		if zone, err = zoneOf(c, server); err != nil {
			return out, err
		}
	}
	r := cedar.NewReplay(set, zone, since)
	all, err := server.Agents(c.Context, api.Filter{})
	if err != nil {
		return out, err
	}
	for _, a := range all {
		r.Know(registered(a).Agent)
	}
	err = server.Events(c.Context, api.EventFilter{}, func(raw json.RawMessage) error { return r.Read(raw) })
	return r.Outcome(), err
}

// zoneOf returns the time zone of the policies of a server, whether or not any are in force.
func zoneOf(c *cli.Context, server *api.Client) (*time.Location, error) {
	all, err := server.Policies(c.Context)
	if err != nil || len(all) == 0 {
		return time.UTC, err
	}
	v, err := server.PolicyVersion(c.Context, fmt.Sprint(all[0].Version))
	if err != nil {
		return nil, err
	}
	return time.LoadLocation(v.Zone)
}

func replayFile(c *cli.Context, set *cedar.Set, zone *time.Location, since time.Time) (out cedar.Outcome, err error) {
	name := c.String("log")
	in := c.App.Reader
	if name != "-" {
		f, err := durable.Open(name)
		if err != nil {
			return out, fileArgument{"--log", "an export of the audit log (brevet audit export)"}.refused(name, err)
		}
		defer f.Close()
		in = f
	}
	r := cedar.NewReplay(set, zone, since)
	lines := bufio.NewReader(in)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if len(line) > 1 {
			if err := r.Read(line); err != nil {
				return out, fmt.Errorf("%s, line %d: %w", shown(name), n, err)
			}
		}
		if errors.Is(err, io.EOF) {
			return r.Outcome(), nil
		}
		if err != nil {
			return out, fmt.Errorf("reading %s: %w", shown(name), err)
		}
	}
}
