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
			auditCheckCommand(),
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
