package main

import "github.com/urfave/cli/v2"

func operatorTokenCommand() *cli.Command {
	return &cli.Command{
		Name:  "token",
		Usage: "get a token by which a tool does less than you may",
		Description: `Prints an access token for the operator whose identity you use, for 10 minutes at most. A
tool sends it as "Authorization: Bearer" on connections to listen_admin that it makes with the
same certificate, and may then do what the role of the token allows, and no more than you may at
that time. --quiet prints only the token.

The token limits a tool that sends it. A tool that has the key of the certificate can leave the
token out: to limit such a tool, let an operator of its own have the lesser role.

The token ends with the certificate, and when the operator is suspended or removed. After the
certificate was renewed you need another token. "brevet token revoke JTI" ends one.

Example:
  $ brevet --context paris operator token --role viewer --quiet`,
		Flags:  []cli.Flag{text("role", roleUsage+" (default: yours)"), text("ttl", "how long it lives, `DURATION` such as 5m")},
		Action: operatorToken,
	}
}

func operatorToken(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	t, err := server.MintOperatorToken(c.Context, c.String("role"), c.String("ttl"))
	if err != nil {
		return err
	}
	return answer(c, t, []string{t.Token}, func(p *page) {
		p.line("The token %s is for the role %s until %s, and is shown only now:", t.ID, t.Role, p.end(t.Expires))
		p.line("")
		p.line("  %s", p.in(bold, t.Token))
	})
}
