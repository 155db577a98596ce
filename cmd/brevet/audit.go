package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func auditCommand() *cli.Command {
	return &cli.Command{
		Name:     "audit",
		Category: aboutLog,
		Usage:    "read, follow, verify and prove the audit log",
		Description: `The audit log has the requests to the authority, each with the decision and its
reason, in the order in which they happened. Entries are hashed into a tree (RFC
6962). Its signed checkpoints show whether an entry was changed or removed later.`,
		Subcommands: []*cli.Command{
			{
				Name:  "list",
				Usage: "list entries",
				Description: `Lists the entries that match all flags, the oldest first. With --json they are
one array; for a long log, brevet audit export is better.

Examples:
  $ brevet audit list --since 2h
  $ brevet audit list --agent build-bot --since 2026-01-31`,
				Flags:  eventFlags(),
				Action: auditList,
			},
			{
				Name:  "tail",
				Usage: "follow the log",
				Description: `Prints new entries as they come, until you interrupt it or the server stops (exit
status 1). With --since it first prints the entries since that time. With --json
each is a JSON document on a line of its own.

Example:
  $ brevet audit tail --json | jq -c 'select(.decision == "deny")'`,
				Flags:  eventFlags(),
				Action: auditTail,
			},
			auditVerifyCommand(),
			auditProveCommand(),
			{
				Name:  "export",
				Usage: "print the whole log as JSON lines",
				Description: `Prints all entries, the oldest first, each as a JSON document on a line of its
own. The log's tree has the hashes of exactly these bytes.

Example:
  $ brevet audit export | gzip > audit-$(date +%F).jsonl.gz`,
				Action: auditExport,
			},
		},
	}
}

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

func auditList(c *cli.Context) error {
	filter, err := eventFilter(c)
	if err != nil {
		return err
	}
	if !c.Bool("json") {
		return events(c, filter, printEvent(c))
	}
	var array bytes.Buffer // printed when it is whole: half of it is not JSON
	err = events(c, filter, func(e json.RawMessage) error {
		array.WriteString(map[bool]string{true: "[\n", false: ",\n"}[array.Len() == 0])
		array.Write(e)
		return nil
	})
	if err != nil {
		return err
	}
	if array.Len() == 0 {
		array.WriteString("[")
	}
	array.WriteString("\n]\n")
	_, err = array.WriteTo(c.App.Writer)
	return err
}

func auditTail(c *cli.Context) error {
	filter, err := eventFilter(c)
	if err != nil {
		return err
	}
	filter.Follow = true
	print := printEvent(c)
	if c.Bool("json") {
		print = printRaw(c)
	}
	err = events(c, filter, print)
	if c.Context.Err() != nil {
		return nil // to be interrupted is how this ends
	}
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the server has stopped: follow the log again once it runs")
	}
	return err
}

func auditExport(c *cli.Context) error { return events(c, api.EventFilter{}, printRaw(c)) }

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

func auditVerifyCommand() *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "check that no entry was changed or removed",
		Description: `Reads the whole log, computes all hashes again, and compares them with the last
checkpoint in the store and with the one in --checkpoint, if given. Prints the
number of entries and a new signed checkpoint.

Keep the checkpoint elsewhere: an attacker who can write to this machine can forge
the log and its own checkpoints, but not the one you keep. Verify against it the
next time. Exit status 1 means that the log was changed; the message says from
which entry on.

Example:
  $ brevet audit verify --quiet > checkpoint && scp checkpoint safe:
  $ scp safe:checkpoint . && brevet audit verify --checkpoint checkpoint`,
		Flags:  []cli.Flag{text("checkpoint", "`FILE` with a checkpoint that was kept elsewhere, or - for standard input")},
		Action: auditVerify,
	}
}

func auditVerify(c *cli.Context) error {
	var checkpoint []byte
	if name := c.String("checkpoint"); name != "" {
		var err error
		if checkpoint, err = input(c, name); err != nil {
			return err
		}
		if len(checkpoint) == 0 {
			return fmt.Errorf("%s is empty: want a checkpoint that brevet audit verify printed", name)
		}
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	v, err := server.VerifyLog(c.Context, string(checkpoint))
	if err != nil {
		return err
	}
	return answer(c, v, []string{strings.TrimSuffix(v.Checkpoint, "\n")}, func(p *page) {
		p.line("The log is whole: %s, root hash %s.", count(v.Entries, "entry"), v.Root)
		if checkpoint != nil {
			p.line("It agrees with the checkpoint in %s.", c.String("checkpoint"))
		}
		p.line("")
		p.line("Keep this checkpoint elsewhere, and verify against it the next time (--checkpoint):")
		p.line("")
		p.WriteString(v.Checkpoint)
	})
}

func auditProveCommand() *cli.Command {
	return &cli.Command{
		Name:      "prove",
		Usage:     "prove that an entry is in the log",
		ArgsUsage: "ID",
		Description: `Prints a JSON document that proves that the entry with the number ID is in the
log: the entry, the hashes that lead from it to the root (RFC 6962), and the signed
checkpoint of that root. To check it, one needs only the log's public key.

Example:
  $ brevet audit prove 1042 > proof.json`,
		Action: auditProve,
	}
}

func auditProve(c *cli.Context) error {
	seq, err := strconv.ParseInt(c.Args().First(), 10, 64)
	if err != nil || seq < 0 {
		return misuse(c, "invalid entry %q: use its number, as brevet audit list shows it", c.Args().First())
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	proof, err := server.Prove(c.Context, seq)
	if err != nil {
		return err
	}
	return printJSON(c.App.Writer, proof)
}
