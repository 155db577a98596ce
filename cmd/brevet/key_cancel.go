package main

import (
	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func keyCancelCommand() *cli.Command {
	return &cli.Command{
		Name:      "cancel",
		Usage:     "give up a key that is not at work yet",
		ArgsUsage: rotated,
		Description: `Gives up a next key and destroys its file: a key for tokens that is published and
does not sign yet, or an issuer's that is published likewise or waits for the certificate
of a root that is kept elsewhere (brevet key request). It has signed nothing but CRLs, so
nobody loses anything. A key for tokens leaves /oauth/jwks at once; the file of an issuer
that was published goes a little later. --algorithm says which one is meant, if there are
several. With an issuer goes the https-issuer that was made along. If there is none, the
command succeeds and says so.

Example:
  $ brevet key cancel tokens`,
		Flags:  []cli.Flag{text("algorithm", "`ALGORITHM` of the key, if there are several")},
		Action: keyCancel,
	}
}

func keyCancel(c *cli.Context) error {
	if !c.Args().Present() {
		return misuse(c, "key cancel needs %s", rotated)
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	k, err := server.CancelKey(c.Context, c.Args().First(), c.String("algorithm"))
	if err != nil {
		return err
	}
	if k.Note != "" {
		return answer(c, k, nil, func(p *page) { p.line("%s.", k.Note) })
	}
	return answer(c, k, []string{k.ID}, func(p *page) {
		p.cancelled(k.Key)
		if k.Along != nil {
			p.cancelled(*k.Along)
		}
	})
}

func (p *page) cancelled(k api.Key) {
	if k.State == "retired" {
		p.line("The %s %s is cancelled. Its CRL was published, so its file is destroyed a little later. Remove copies of it, too.", k.Purpose, k.ID)
		return
	}
	p.line("The %s key %s is cancelled and its file is destroyed. Remove copies of it, too.", k.Purpose, k.ID)
}
