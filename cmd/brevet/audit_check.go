package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
)

func auditCheckCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "check a proof that an entry is in the log",
		ArgsUsage: "PROOF",
		Description: `Checks what brevet audit prove printed, and prints the entry. No server is needed,
only the log's public key (brevet key public audit), which must come from
elsewhere than the proof. PROOF may be - for standard input.

Example:
  $ brevet audit check proof.json --key audit.pem`,
		Flags:  []cli.Flag{needed("key", "`FILE` with the public keys of the log (brevet key public audit)")},
		Action: auditCheck,
	}
}

func auditCheck(c *cli.Context) error {
	proof, err := input(c, c.Args().First())
	if err != nil {
		return err
	}
	keys, err := input(c, c.String("key"))
	if err != nil {
		return err
	}
	entry, size, err := server.CheckProof(proof, append([]byte{}, keys...))
	if err != nil {
		return fmt.Errorf("%s proves nothing: %w", c.Args().First(), err)
	}
	var e api.Event
	if err := json.Unmarshal(entry, &e); err != nil {
		return err
	}
	doc := map[string]any{"proven": true, "entry": json.RawMessage(entry), "size": size}
	return answer(c, doc, nil, func(p *page) {
		p.line("Proven: this is entry %d of a log of %s.", e.Seq, count(size, "entry"))
		p.line("")
		p.line("%s", printable(string(entry)))
	})
}
