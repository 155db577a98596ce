package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func crlCommand() *cli.Command {
	return &cli.Command{
		Name:     "crl",
		Category: aboutCredentials,
		Usage:    "show and publish certificate revocation lists",
		Description: `A CRL names the certificates of an issuer that were revoked and have not expired
(RFC 5280). A new one is published with each revocation and, before the last one
ends, by itself. The root has a CRL of its issuers, which may be used for longer.`,
		Subcommands: []*cli.Command{
			{
				Name:      "show",
				Usage:     "show what a published CRL says",
				ArgsUsage: "[ISSUER]",
				Description: `Shows the list that is published now: its number, its time and what it revokes.
ISSUER is the hexadecimal key identifier of an issuer or a root, as brevet key list
shows; without it, the active issuer's.

Examples:
  $ brevet crl show
  $ brevet crl show --quiet | grep -i 0b3c`,
				Action: crlShow,
			},
			{
				Name:  "publish",
				Usage: "publish a new CRL now",
				Description: `Signs and publishes a new list of each issuer now, and shows the active issuer's.
You seldom need this, because every revocation publishes. Use it after a
revocation that warned that its CRL is late.

The root signs new lists, too, if its key file is in the directory. If you keep that
file elsewhere, put it back for this command at least twice a year: the root then
signs a list that may be used for 180 days. brevet status warns 30 days before the
last one ends. A root that is kept elsewhere for good signs there: see brevet key request.

Example:
  $ brevet crl publish`,
				Action: crlPublish,
			},
		},
	}
}

func crlShow(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	l, err := server.CRL(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	var serials []string
	for _, e := range l.Entries {
		serials = append(serials, e.Serial)
	}
	return answer(c, l, serials, func(p *page) { p.crl(l) })
}

func crlPublish(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	l, err := server.PublishCRL(c.Context)
	if err != nil {
		return err
	}
	return answer(c, l, []string{fmt.Sprint(l.Number)}, func(p *page) { p.crl(l) })
}

func (p *page) crl(l api.CRL) {
	p.line("CRL %d of issuer %s revokes %s.", l.Number, l.Issuer, count(l.Revoked, "certificate"))
	p.line("")
	var t table
	t.pair("Dated", at(l.ThisUpdate)) // up to 30 s before it was published
	t.pair("Next one by", p.end(l.NextUpdate))
	t.pair("At", l.URL)
	p.table(t)
	if len(l.Entries) == 0 {
		return
	}
	p.line("")
	var entries table
	entries.styled(bold, "SERIAL", "REVOKED", "REASON")
	for _, e := range l.Entries {
		entries.row(e.Serial, at(e.RevokedAt), e.Reason)
	}
	p.table(entries)
}
