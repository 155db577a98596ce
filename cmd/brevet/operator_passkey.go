package main

import (
	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func passkeyFlag() cli.Flag {
	return &cli.BoolFlag{Name: "passkey", Usage: "print a link to register a passkey instead of a token"}
}

// passkeyLink prints a link to register a passkey.
func passkeyLink(c *cli.Context, invited api.InvitedOperator) error {
	return answer(c, invited, []string{invited.Link.URL}, func(p *page) {
		p.line("%s may register a passkey until %s, once, by opening this link in their browser:", invited.Name, p.end(invited.Link.Expires))
		p.line("")
		p.line("  %s", p.in(bold, invited.Link.URL))
		p.line("")
		p.line("It is shown only now. Whoever opens it first registers a passkey for %s.", invited.Name)
		p.line("To operate the authority they need a certificate: brevet operator enroll %s", invited.Name)
	})
}
