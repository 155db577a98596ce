package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// eventFlags choose entries; more choose where to begin or end.
func eventFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		text("agent", "only what this agent asked for or what was done to it, alone or in a group: `NAME`"),
		text("action", "only this `ACTION`, such as agent.add, or agent for all that begin so"),
		text("decision", "only those decided so: `allow|deny|ask`"),
		outputFlag(),
		text("since", "only entries since `T`: RFC 3339, a date, or how long ago, such as 2h or 30d"),
	}, more...)
}

// afterFlag begins after an entry that was seen before.
func afterFlag() cli.Flag { return text("after", "only entries after the one with this `ID`") }

func eventFilter(c *cli.Context) (f api.EventFilter, err error) {
	f.Agent, f.Action, f.Decision = c.String("agent"), c.String("action"), c.String("decision")
	if f.Since, err = instantOf(c, "since", ago); err != nil {
		return f, err
	}
	if f.Until, err = instantOf(c, "until", ago); err != nil {
		return f, err
	}
	if c.IsSet("after") {
		after, _ := strconv.ParseInt(c.String("after"), 10, 64) // flagTypes checked it, like the others
		f.From = after + 1
	}
	f.Before, _ = strconv.ParseInt(c.String("before"), 10, 64)
	f.Limit, _ = strconv.ParseInt(c.String("limit"), 10, 64)
	return f, nil
}

// entry accepts the number of an entry of the audit log.
func entry(s string) error {
	if n, err := strconv.ParseInt(s, 10, 62); err != nil || n < 0 {
		return fmt.Errorf("invalid entry %.80q: use its number, as brevet audit list shows it", s)
	}
	return nil
}

// later accepts the number of an entry that others come before.
func later(s string) error {
	if s == "0" {
		return errors.New("no entry is before entry 0")
	}
	return entry(s)
}

// limited accepts how many entries to list.
func limited(s string) error {
	if n, err := strconv.ParseInt(s, 10, 62); err != nil || n < 1 || n > api.MaxEvents {
		return fmt.Errorf("invalid number %.80q: want 1 to %d", s, api.MaxEvents)
	}
	return nil
}

// events calls f with the entries that fit the filter.
func events(c *cli.Context, filter api.EventFilter, f func(json.RawMessage) error) error {
	server, err := dialEvents(c, filter)
	if err != nil {
		return err
	}
	return server.Events(c.Context, filter, f)
}

// dialEvents is dial for one who reads the log. It warns of entries that are not there.
func dialEvents(c *cli.Context, filter api.EventFilter) (*api.Client, error) {
	server, err := dial(c)
	if err != nil {
		return nil, err
	}
	missing, err := server.MissingEvents(c.Context, filter)
	if refusal, ok := errors.AsType[*api.Error](err); ok && refusal.Status == http.StatusNotFound {
		err = nil // the server is of an earlier version, which has the whole log
	}
	for _, g := range missing {
		fmt.Fprintf(c.App.ErrWriter, "brevet: warning: left out are %s\n", awayText(g))
	}
	return server, err
}

// awayText says which entries are not there, and why.
func awayText(g api.Gap) string {
	return fmt.Sprintf("entries %d to %d: the segment %s was moved away", g.First, g.Last, printable(g.Segment))
}

// printRaw prints entries as they are, a line each.
func printRaw(c *cli.Context) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		_, err := fmt.Fprintf(c.App.Writer, "%s\n", raw)
		return err
	}
}

// printEvent prints entries for people, a line each. The columns have fixed
// widths, for the lines to come are not known. On a terminal a line is cut to its width,
// unless -o wide is given. --quiet prints the numbers.
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
		if text = printable(text); p.columns > 0 && c.String("output") != "wide" {
			text = shorten(text, p.columns)
		}
		style := map[bool]string{true: red}[e.Decision == "deny"]
		p.line("%s", p.in(style, text))
		return p.flush(c.App.Writer)
	}
}
