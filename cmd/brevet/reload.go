package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

func reloadCommand() *cli.Command {
	return &cli.Command{
		Name:     "reload",
		Category: aboutAuthority,
		Usage:    "have the running server follow a changed brevet.yaml",
		Description: `Has the server read brevet.yaml again and follow what may change while it runs:
log: {level}, limits, names, profiles, and audit: {sinks}. It prints the keys that
had changed, and the audit log has an event config.reload that names them. SIGHUP to
the server does the same; the log then says how it ended.

All or nothing: if the file is faulty, nothing changes, and exit status 1 comes with
line and column of the fault. Every other key needs a restart. If one of those has
changed, nothing changes either, and the message names it.

A sink whose entry has not changed goes on. If only the file with its secret or its
certificates has changed, restart the server.

Examples:
  $ brevet reload
  $ systemctl reload brevet`,
		Action: reload,
	}
}

func reload(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	r, err := server.Reload(c.Context)
	if err != nil {
		return err
	}
	return answer(c, r, r.Changed, func(p *page) {
		if len(r.Changed) == 0 {
			p.line("Nothing had changed.")
			return
		}
		p.line("The server follows the changes of %s.", printable(strings.Join(r.Changed, ", ")))
	})
}
