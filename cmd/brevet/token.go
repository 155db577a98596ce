package main

import (
	"encoding/json"
	"strings"

	"github.com/urfave/cli/v2"
)

func tokenCommand() *cli.Command {
	return &cli.Command{
		Name:     "token",
		Category: aboutCredentials,
		Usage:    "list, revoke and introspect access tokens",
		Description: `Agents obtain access tokens by themselves ("brevet client token", or any OAuth
client). With these commands you look at tokens and revoke one. You name a token by
its jti, which has 40 hexadecimal digits, or by 8 or more of them from the ninth on.`,
		Subcommands: []*cli.Command{
			{
				Name:  "list",
				Usage: "list access tokens",
				Description: `Lists the access tokens that are valid, and those that expired within the last
day. The tokens themselves are not kept and cannot be shown.

Example:
  $ brevet token list --agent build-bot`,
				Flags:  []cli.Flag{outputFlag(), text("agent", "only those of this agent: `NAME`")},
				Action: tokenList,
			},
			{
				Name:      "revoke",
				Usage:     "revoke one access token",
				ArgsUsage: "JTI",
				Description: `Revokes one access token that is valid. From then on introspection says that it
is not active. A resource server that checks only the signature may accept it
until it expires; the receipt says when. If the token is revoked already, the command
succeeds and says so. Exit status 1 means that it was not revoked; the message says why.

Example:
  $ brevet token revoke 7c21d40a`,
				Flags:  []cli.Flag{reasonFlag("audit log", "unspecified")},
				Action: tokenRevoke,
			},
			{
				Name:      "introspect",
				Usage:     "say whether an access token may be used",
				ArgsUsage: "TOKEN",
				Description: `Prints the answer that a resource server would get about an access token (RFC
7662), as JSON; with --quiet, only active or inactive. The exit status is 0 in both
cases.

Give - for TOKEN, and the token on standard input: every user of this machine can
read the command line.

Example:
  $ brevet client token --dir /etc/build-bot --scope orders:read | brevet token introspect -`,
				Action: tokenIntrospect,
			},
		},
	}
}

func tokenList(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	tokens, err := server.Tokens(c.Context, c.String("agent"))
	if err != nil {
		return err
	}
	var ids []string
	for _, token := range tokens {
		ids = append(ids, token.ID)
	}
	return answer(c, list(tokens), ids, func(p *page) {
		var t table
		t.styled(bold, "JTI", "AGENT", "STATE", "SCOPE", "AUDIENCE", "UNTIL", "REASON")
		short := p.ids(ids)
		for i, k := range tokens {
			t.styled(stateStyle(k.State), short[i], k.Agent, k.State, k.Scope, strings.Join(k.Audiences, " "), p.end(k.Expires), k.Reason)
		}
		p.tableOr("No access tokens.", t)
	})
}

func tokenRevoke(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	r, err := server.RevokeToken(c.Context, c.Args().First(), c.String("reason"))
	if err != nil {
		return err
	}
	return receipt(c, r, "Done")
}

func tokenIntrospect(c *cli.Context) error {
	token := c.Args().First()
	if token == "-" {
		text, err := fileArgument{"TOKEN", "a token"}.read(c, "-")
		if err != nil {
			return err
		}
		token = strings.TrimSpace(string(text))
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	doc, err := server.Introspect(c.Context, token)
	if err != nil {
		return err
	}
	var told struct {
		Active bool `json:"active"`
	}
	if err := json.Unmarshal(doc, &told); err != nil {
		return err
	}
	essential := map[bool]string{true: "active", false: "inactive"}[told.Active]
	return answer(c, doc, []string{essential}, func(p *page) { printJSON(p, doc) })
}
