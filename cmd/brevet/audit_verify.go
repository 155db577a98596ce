package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

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
		if err := notSecret("checkpoint", name, checkpoint); err != nil {
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
