package main

import (
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/client"
)

func clientTokenCommand() *cli.Command {
	return &cli.Command{
		Name:  "token",
		Usage: "print an access token",
		Description: `Gets an access token by mutual TLS with the current certificate and prints it on
standard output, alone on a line. It is bound to the certificate (RFC 8705) and
lives for minutes: get one for each use, or have brevet client run keep one fresh
in a file.

Ask only for the scopes and the resource server that you need. Without --audience,
the token is for the only one that the agent has. Exit status 1 means that there
is no token; the message has the reason (RFC 6749, section 5.2).

Example:
  $ curl --cert cert.pem --key key.pem https://orders.example.org/ -H @- <<END
    Authorization: Bearer $(brevet client token --dir . --scope orders:read)
    END`,
		Flags: []cli.Flag{
			identityFlag(),
			&cli.StringSliceFlag{Name: "scope", Required: true, Usage: "`SCOPE` that the token is to have"},
			texts("audience", "`URL` of the resource server that the token is for"),
		},
		Action: clientToken,
	}
}

func clientToken(c *cli.Context) error {
	id, err := client.Load(c.String("dir"))
	if err != nil {
		return err
	}
	t, err := id.Token(c.Context, tokenRequest(c))
	if err != nil {
		return err
	}
	doc := map[string]any{ // the names of RFC 6749, section 5.1
		"access_token": t.Reveal(), "token_type": "Bearer", "scope": strings.Join(t.Scopes, " "),
		"expires_in": int(time.Until(t.Expires).Seconds()), "expires_at": t.Expires,
	}
	return answer(c, doc, []string{t.Reveal()}, func(p *page) { p.line("%s", t.Reveal()) })
}

// tokenRequest returns what the flags ask for. Scopes may also be given as
// OAuth writes them, with spaces between.
func tokenRequest(c *cli.Context) client.TokenRequest {
	return client.TokenRequest{Scopes: strings.Fields(strings.Join(c.StringSlice("scope"), " ")), Audiences: c.StringSlice("audience")}
}
