package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Category:  aboutAuthority,
		Usage:     "check a backup",
		ArgsUsage: "FILE",
		Description: `Reads a backup from end to end and checks that it is sound, that its audit log is
whole, and that it is what its signed digest was made for. No server is needed. Exit
status 1 means that it is damaged or was edited; the message says where. The segments of
the log are read from the directory segments beside FILE. Those that are not there are
named: only the hash over their entries is checked.

The digest is signed with the audit key and with the issuer's key. A key inside the
backup proves nothing against somebody who edits the backup, so give one that you
keep elsewhere: in --key the public keys (brevet key public), or in --checkpoint a
checkpoint of the audit log (brevet audit verify --quiet), whose log the backup must
agree with and whose key must have signed the digest. If issuer and audit key are in
--key, the audit key's signature is not enough: the issuer's key must have signed. If
these keys were rotated since, each old key has signed the new one, and the output says
which rotations were followed. An issuer's key that was stolen has signed none: after
brevet key rotate issuer --compromised, print the public keys again.

If FILE is -, standard input is copied to $TMPDIR for the time of the check.

Examples:
  $ brevet verify /backup/brevet-2026-01-31.db
  $ brevet verify --key /safe/keys.pem /backup/brevet-2026-01-31.db
  $ ssh safe cat brevet.db | brevet verify -`,
		Flags:  evidenceFlags(),
		Action: verify,
	}
}

func verify(c *cli.Context) error {
	name := c.Args().First()
	file, e, remove, err := backupWithEvidence(c)
	if err != nil {
		return err
	}
	defer remove()
	r, err := server.CheckBackup(file, e)
	if err != nil {
		return err
	}
	doc := struct {
		File  string `json:"file"`
		Sound bool   `json:"sound"`
		server.Checked
	}{name, true, r}
	return answer(c, doc, nil, func(p *page) {
		p.line("%s is sound.", shown(name))
		printChecked(p, r)
	})
}

// printChecked tells what a backup was found to be.
func printChecked(p *page, r server.Checked) {
	p.line("Its audit log is whole: %s.", count(r.Entries, "entry"))
	printMissing(p, r.Missing)
	if r.Digest {
		by := strings.Join(strings.Fields(strings.Trim(fmt.Sprint(r.SignedBy), "[]")), ", ")
		p.line("The authority of %s made it at %s, and signed it with these keys: %s.", r.TrustDomain, at(r.Taken), by)
	} else {
		p.line("It has no signed digest: an earlier version made it, or it is no backup, or somebody removed the digest.")
	}
	printProven(p, r)
}

// printMissing tells which entries were not read.
func printMissing(p *page, missing []api.Gap) {
	for _, g := range missing {
		p.line("Not read, but only the hash over them: %s.", awayText(g))
	}
}

// backupWithEvidence returns the path of the backup that the first argument names, and the
// evidence to check it by. The caller calls remove at its end.
func backupWithEvidence(c *cli.Context) (file string, e server.Evidence, remove func(), err error) {
	if e, err = evidence(c); err != nil {
		return "", e, nil, err
	}
	file, remove, err = fileArgument{"FILE", "a backup that brevet backup made"}.spooled(c, c.Args().First())
	return file, e, remove, err
}
