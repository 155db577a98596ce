package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server"
)

func keyPublicCommand() *cli.Command {
	return &cli.Command{
		Name:      "public",
		Usage:     "print public keys",
		ArgsUsage: "[KIND|ID]",
		Description: `Prints the public keys of a kind (audit, issuer, root, ...), one key by its ID, or
all, in PEM; retired keys too. A key with an alternative half has two blocks. The line
before a block says what the key is for, and programs that read PEM skip it. Give
them to auditors: with the file they check backups (brevet verify), copies of the
audit log (brevet audit verify --store) and proofs (brevet audit check) without a
server. Keep it elsewhere than the backups.

Example:
  $ brevet key public > /safe/keys.pem`,
		Action: keyPublic,
	}
}

// kindOrKey accepts the ID of a key, or a word that may say what keys are for.
func kindOrKey(s string) error {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") == "" && len(s) < 40 {
		return nil
	}
	return keyID(s)
}

func keyPublic(c *cli.Context) error {
	source, err := dial(c)
	if err != nil {
		return err
	}
	keys, err := source.Keys(c.Context)
	if err != nil {
		return err
	}
	wanted, found := c.Args().First(), keys[:0]
	for _, k := range keys {
		if wanted == "" || wanted == k.Purpose || wanted == k.ID {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("no key is of kind %q or has that ID: see brevet key list", wanted)
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, found)
	}
	_, err = c.App.Writer.Write(server.WriteKeys(found))
	return err
}
