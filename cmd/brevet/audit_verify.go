package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server"
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
which entry on. Segments of the log that were moved away are named: only the hash
over their entries is checked. Check each where it is (brevet audit check).

With --store the log in FILE is checked, without a server: a backup, or a store that
no server has open, with the segments in the directory segments beside it. The keys in
--key, or the checkpoint, must come from elsewhere: a key inside the file proves nothing
against somebody who can write the file.

Examples:
  $ brevet audit verify --quiet > checkpoint && scp checkpoint safe:
  $ scp safe:checkpoint . && brevet audit verify --checkpoint checkpoint
  $ brevet audit verify --store brevet-2026-01-31.db --key audit.pem`,
		Flags:  append(evidenceFlags(), text("store", "`FILE` with the store to check, or - for standard input, instead of asking the server")),
		Action: auditVerify,
	}
}

func auditVerify(c *cli.Context) error {
	if c.String("store") != "" {
		return auditVerifyStore(c)
	}
	if c.IsSet("key") {
		return misuse(c, "--key goes with --store: the server has its keys")
	}
	var checkpoint []byte
	if name := c.String("checkpoint"); name != "" {
		var err error
		if checkpoint, err = (fileArgument{"--checkpoint", keptCheckpoint}).read(c, name); err != nil {
			return err
		}
		if err := notSecret(c, "checkpoint", name, checkpoint); err != nil {
			return err
		}
		if len(checkpoint) == 0 {
			return fmt.Errorf("%s is empty: want a checkpoint that brevet audit verify printed", name)
		}
	}
	source, err := dial(c)
	if err != nil {
		return err
	}
	v, err := source.VerifyLog(c.Context, string(checkpoint))
	if err != nil {
		return err
	}
	return answer(c, v, []string{strings.TrimSuffix(v.Checkpoint, "\n")}, func(p *page) {
		p.line("The log is whole: %s, root hash %s.", count(v.Entries, "entry"), v.Root)
		printMissing(p, v.Missing)
		if checkpoint != nil {
			p.line("It agrees with the checkpoint in %s.", c.String("checkpoint"))
		}
		p.line("")
		p.line("Keep this checkpoint elsewhere, and verify against it the next time (--checkpoint):")
		p.line("")
		p.WriteString(v.Checkpoint)
	})
}

func auditVerifyStore(c *cli.Context) error {
	e, err := evidence(c)
	if err != nil {
		return err
	}
	file, remove, err := fileArgument{"--store", "the store of an authority (brevet.db), or a backup of it"}.spooled(c, c.String("store"))
	if err != nil {
		return err
	}
	defer remove()
	r, err := server.CheckLog(file, e)
	if err != nil {
		return err
	}
	return answer(c, r, []string{r.Root}, func(p *page) {
		p.line("The log of %s is whole: %s, root hash %s.", r.TrustDomain, count(r.Entries, "entry"), r.Root)
		printMissing(p, r.Missing)
		printProven(p, r)
	})
}
