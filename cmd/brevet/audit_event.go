package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func eventFlags() []cli.Flag {
	return []cli.Flag{
		text("agent", "only what this agent asked for or what was done to it: `NAME`"),
		text("since", "only entries since `T`: RFC 3339, a date, or how long ago, such as 2h or 30d"),
	}
}

func eventFilter(c *cli.Context) (api.EventFilter, error) {
	since, err := instantOf(c, "since", ago)
	return api.EventFilter{Agent: c.String("agent"), Since: since}, err
}

// events calls f with the entries that fit the filter.
func events(c *cli.Context, filter api.EventFilter, f func(json.RawMessage) error) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	return server.Events(c.Context, filter, f)
}

// printRaw prints entries as they are, a line each.
func printRaw(c *cli.Context) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		_, err := fmt.Fprintf(c.App.Writer, "%s\n", raw)
		return err
	}
}

// printEvent prints entries for people, a line each. The columns have fixed
// widths, for the lines to come are not known. --quiet prints the numbers.
func printEvent(c *cli.Context) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var e api.Event
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("reading an entry of the log: %w", err)
		}
		p := newPage(c.App.Writer)
		if c.Bool("quiet") {
			p.line("%d", e.Seq)
			return p.flush(c.App.Writer)
		}
		who := e.Actor
		if e.OnBehalfOf != "" {
			who += " for " + e.OnBehalfOf
		}
		text := fmt.Sprintf("%6d  %s  %-5s  %-21s %-20s by %s", e.Seq, at(e.Time), e.Decision, e.Action, orDash(e.Subject), who)
		for _, more := range append([]string{e.Credential}, e.Reasons...) {
			if more != "" {
				text += "; " + more
			}
		}
		style := map[bool]string{true: red}[e.Decision == "deny"]
		p.line("%s", p.in(style, printable(text)))
		return p.flush(c.App.Writer)
	}
}
