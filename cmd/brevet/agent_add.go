package main

import (
	"github.com/urfave/cli/v2"
)

func agentAddCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "register an agent",
		ArgsUsage: "NAME",
		Description: `Registers an agent and prints its enrollment token. The token is shown once, can
be used once, and expires after an hour. With it, the agent obtains its first
certificate by "brevet client enroll"; after that it renews by itself. Instead,
any ACME client can open an account of the agent with the ACME key that is also
printed (external account binding, RFC 8555), once and within the same hour.
--quiet prints only the token.

NAME is one lower-case DNS label. It becomes the identity
spiffe://TRUST_DOMAIN/agent/NAME, and is never given out again, even after the
agent was decommissioned.

A DNS name or address belongs to one agent. If you add ",challenge" to it, it is
reserved for the agent, but only goes into a certificate after an ACME challenge
has proven it. A resource server needs the scope brevet:introspect to introspect
tokens. A proxy that forwards certificates of its clients needs brevet:proxy.

To give a list, repeat its flag.

Examples:
  $ brevet agent add build-bot --owner ci@example.org --scope artifacts:write \
      --audience https://artifacts.example.org
  $ brevet agent add shop --owner shop-team --dns shop.example.org --ip 192.0.2.7 --ttl 10m
  $ brevet agent add visitor --owner it --expires 30d --label env=test`,
		Flags:  append([]cli.Flag{needed("owner", "`WHO` answers for the agent")}, changeFlags()...),
		Action: agentAdd,
	}
}

func agentAdd(c *cli.Context) error {
	change, err := changeOf(c)
	if err != nil {
		return err
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	invited, err := server.AddAgent(c.Context, c.Args().First(), change)
	if err != nil {
		return err
	}
	return invitation(c, server, invited, "is registered")
}
