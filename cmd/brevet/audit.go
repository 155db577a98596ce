package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

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
6962). Its signed checkpoints show whether an entry was changed or removed later.

The oldest entries are in segments, files of DIR/segments that may be moved away. Then
the verbs name the entries that are not there.`,
		Subcommands: []*cli.Command{
			{
				Name:  "list",
				Usage: "list entries",
				Description: `Lists the entries that match all flags, the oldest first. With --json they are
one array; for a long log, brevet audit export is better. With --limit only the last
ones of them are listed. To page back, give the first number listed as --before.

Examples:
  $ brevet audit list --since 2h
  $ brevet audit list --agent build-bot --since 2026-01-31
  $ brevet audit list --action certificate --decision deny --limit 20
  $ brevet audit list --limit 20 --before 1042`,
				Flags: eventFlags(
					text("until", "only entries before `T`, as for --since"),
					text("before", "only entries before the one with this `ID`"),
					text("limit", "only the last `N` of them"),
				),
				Action: auditList,
			},
			{
				Name:  "tail",
				Usage: "follow the log",
				Description: `Prints new entries as they come, until you interrupt it or the server stops (exit
status 1). With --since or --after it first prints the entries since that time or
after that entry: a program that keeps the number of the last entry that it has dealt
with misses none. With --json each is a JSON document on a line of its own.

Examples:
  $ brevet audit tail --json | jq -c 'select(.decision == "deny")'
  $ brevet audit tail --json --after 1042`,
				Flags:  eventFlags(afterFlag()),
				Action: auditTail,
			},
			auditVerifyCommand(),
			auditProveCommand(),
			auditCheckCommand(),
			{
				Name:  "export",
				Usage: "print the log as JSON lines or CEF",
				Description: `Prints all entries, or those after an entry or since a time, the oldest first, each
as a JSON document on a line of its own. The log's tree has the hashes of exactly
these bytes. With --format cef the lines are in ArcSight's Common Event Format, which
cuts long values. The log has an event of the export, which is not in the export.

Examples:
  $ brevet audit export | gzip > audit-$(date +%F).jsonl.gz
  $ brevet audit export --after 1042 >> audit.jsonl
  $ brevet audit export --format cef --since 1h`,
				Flags: []cli.Flag{
					preset("format", "jsonl", "`jsonl|cef`"),
					afterFlag(),
					text("since", "only entries since `T`: RFC 3339, a date, or how long ago, such as 2h or 30d"),
				},
				Action: auditExport,
			},
		},
	}
}

func auditList(c *cli.Context) error {
	filter, err := eventFilter(c)
	if err != nil {
		return err
	}
	if !asJSON(c) {
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
	if asJSON(c) {
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

func auditExport(c *cli.Context) error {
	filter, err := eventFilter(c)
	if err != nil {
		return err
	}
	server, err := dialEvents(c, filter)
	if err != nil {
		return err
	}
	return server.Export(c.Context, api.ExportRequest{From: filter.From, Since: filter.Since, Format: c.String("format")}, c.App.Writer)
}
