package main

import (
	"github.com/urfave/cli/v2"
)

func keyCommand() *cli.Command {
	return &cli.Command{
		Name:     "key",
		Category: aboutLog,
		Usage:    "list and rotate the authority's signing keys",
		Description: `The authority has a key for each thing that it signs: root (the issuers'
certificates), issuer (agents' certificates and CRLs), tokens (access tokens) and
audit (checkpoints of the audit log). The private keys never leave their files.`,
		Subcommands: []*cli.Command{
			{
				Name:  "list",
				Usage: "list signing keys",
				Description: `Lists the keys: active ones sign, retired ones verify what they signed. A CA key
also has the date at which its certificate expires.

Example:
  $ brevet key list`,
				Action: keyList,
			},
			{
				Name:      "rotate",
				Usage:     "make a new key and put it to work",
				ArgsUsage: "issuer|tokens|audit",
				Description: `Makes a new key of the same algorithm and signs with it from now on. What the old
key signed stays valid: its public key stays published, and a retired issuer's
CRL goes on. If a key was stolen, revoke what it signed as well.

Rotate the issuer before its certificate expires (brevet status). The root cannot
be rotated: agents trust it by its fingerprint, so a new one is a new authority.

The new key lies in a new file in --dir: copy it to where the others are kept.

Example:
  $ brevet key rotate issuer`,
				Action: keyRotate,
			},
		},
	}
}

func keyList(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	keys, err := server.Keys(c.Context)
	if err != nil {
		return err
	}
	var ids []string
	for _, k := range keys {
		ids = append(ids, k.ID)
	}
	return answer(c, list(keys), ids, func(p *page) {
		var t table
		t.styled(bold, "PURPOSE", "STATE", "ALGORITHM", "ID", "ACTIVE SINCE", "CERTIFICATE UNTIL")
		for _, k := range keys {
			t.styled(stateStyle(k.State), k.Purpose, k.State, k.Algorithm, k.ID, orDash(at(k.Activated)), orDash(p.end(k.Expires)))
		}
		p.tableOr("No keys.", t)
	})
}

func keyRotate(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	k, err := server.RotateKey(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	return answer(c, k, []string{k.ID}, func(p *page) {
		p.line("The %s key is now %s (%s).", k.Purpose, k.ID, k.Algorithm)
		p.line("Its file in the authority's directory is in no earlier copy of the keys: copy it, too.")
	})
}
