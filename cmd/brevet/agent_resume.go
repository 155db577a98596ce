package main

import "github.com/urfave/cli/v2"

func agentResumeCommand() *cli.Command {
	return &cli.Command{
		Name:      "resume",
		Usage:     "let a suspended agent work again",
		ArgsUsage: "NAME",
		Description: `Lets a suspended agent obtain credentials again. Its earlier certificates and
tokens stay revoked. So it must enroll again (see brevet agent reenroll), unless
it authenticates with a key of its own. For an active agent it does nothing, and says so.

Example:
  $ brevet agent resume build-bot`,
		Action: agentResume,
	}
}

func agentResume(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	a, err := server.Resume(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	return answer(c, a, []string{a.Name}, func(p *page) {
		if a.Note != "" {
			p.line("%s.", a.Note)
			return
		}
		p.line("%s is %s again.", a.Name, a.State)
		p.line("Its earlier credentials stay revoked. For a new enrollment token: brevet agent reenroll %s", a.Name)
	})
}
