package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func agentSuspendCommand() *cli.Command {
	return &cli.Command{
		Name:      "suspend",
		Usage:     "end all that an agent holds, until it is resumed",
		ArgsUsage: "NAME",
		Description: `Ends everything that the agent holds, in one transaction: its certificates, its
access tokens, its ACME accounts, its unused enrollment token and ACME key.
Until "brevet agent resume" it can obtain nothing new.

From then on OCSP, introspection and renewals refuse it. The new CRL is published
before the command returns. The receipt has its number, and the last moment at
which a credential can still work: at a relying party that checks none of these.

The command does not ask for confirmation. If the agent is suspended already, the
command succeeds and says so. Exit status 1 means that nothing was ended; the
message says why.

Example:
  $ brevet agent suspend build-bot --reason keyCompromise`,
		Flags:  []cli.Flag{reasonFlag("CRL", "privilegeWithdrawn")},
		Action: ending("is suspended", (*api.Client).Suspend),
	}
}

func agentDecommissionCommand() *cli.Command {
	return &cli.Command{
		Name:      "decommission",
		Usage:     "end an agent for good",
		ArgsUsage: "NAME",
		Description: `Ends the agent for good, and everything that it holds, in one transaction: its
certificates, its access tokens, its ACME accounts, its unused enrollment token
and ACME key. It cannot be undone, and the name is never given out again. To
stop an agent for a while: brevet agent suspend.

The command does not ask for confirmation. If the agent is decommissioned already,
the command succeeds and says so. Exit status 1 means that nothing was ended; the
message says why.

Example:
  $ brevet agent decommission build-bot`,
		Flags:  []cli.Flag{reasonFlag("CRL", "cessationOfOperation")},
		Action: ending("is decommissioned for good", (*api.Client).Decommission),
	}
}

// ending returns the action of a command that ends what an agent holds.
func ending(done string, end func(*api.Client, context.Context, string, string) (api.Receipt, error)) cli.ActionFunc {
	return func(c *cli.Context) error {
		server, err := dial(c)
		if err != nil {
			return err
		}
		name := c.Args().First()
		r, err := end(server, c.Context, name, c.String("reason"))
		if err != nil {
			return err
		}
		return receipt(c, r, name+" "+done)
	}
}
