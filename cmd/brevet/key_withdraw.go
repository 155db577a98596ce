package main

import "github.com/urfave/cli/v2"

func keyWithdrawCommand() *cli.Command {
	return &cli.Command{
		Name:      "withdraw",
		Usage:     "withdraw one of two roots",
		ArgsUsage: "ID",
		Description: `Ends the time in which the authority has two roots, after brevet key rotate root or
https-root. ID is the identifier of a root (brevet key list): of the old one when all
who trust it also trust the new one, or of the new one to undo the rotation.

From then on, the other root alone is in /roots.pem and in the chains that are sent.
Whoever still trusts only the withdrawn root refuses the server and all agents.
Agents that run brevet client and trust both drop an old root that is withdrawn.

The key file stays: brevet key destroy ID destroys it. A backup from before the
withdrawal can be restored only for agents that still trust the old root. If the root is
withdrawn already, the command succeeds and says so.

Example:
  $ brevet key withdraw 0b3c48a1d2f06e7b9c5d4e3f2a1b0c9d8e7f6a5b`,
		Action: keyWithdraw,
	}
}

func keyWithdraw(c *cli.Context) error {
	if err := keyID(c.Args().First()); err != nil {
		return misuse(c, "%v", err)
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	k, err := server.WithdrawKey(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	return answer(c, k, []string{k.Leading}, func(p *page) {
		if k.Note != "" {
			p.line("%s.", k.Note)
			return
		}
		p.line("The %s %s is withdrawn. The %[1]s is now %[3]s.", k.Purpose, k.ID, k.Leading)
		for _, remark := range k.Remarks {
			p.line("%s", remark)
		}
	})
}
