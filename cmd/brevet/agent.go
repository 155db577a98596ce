package main

import "github.com/urfave/cli/v2"

func agentCommand() *cli.Command {
	return &cli.Command{
		Name:     "agent",
		Category: aboutAgents,
		Usage:    "register agents, change them, end them",
		Description: `An agent is a registered identity: a workload, a resource server, a device. It
has a name, an owner who answers for it, and what it may have: scopes and
audiences for its tokens, DNS names and addresses for its certificates.

An agent is active, suspended (until it is resumed) or decommissioned (for
good). Suspending and decommissioning end all its credentials at once.`,
		Subcommands: []*cli.Command{
			agentAddCommand(),
			agentListCommand(),
			agentShowCommand(),
			agentSetCommand(),
			agentSuspendCommand(),
			agentResumeCommand(),
			agentDecommissionCommand(),
			agentReenrollCommand(),
		},
	}
}
