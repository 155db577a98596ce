package main

import (
	"strconv"

	"github.com/urfave/cli/v2"
)

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
