package main

import "github.com/urfave/cli/v2"

// The groups of commands in brevet --help, in their order.
const (
	aboutAuthority   = "Authority"
	aboutAgents      = "Agents"
	aboutCredentials = "Credentials"
	aboutLog         = "Log & keys"
	aboutClient      = "Agent side"
	aboutShell       = "Shell"
)

var categories = []string{aboutAuthority, aboutAgents, aboutCredentials, aboutLog, aboutClient, aboutShell}

// tree returns the commands. Each call makes new ones, for flags keep what
// they were set to.
func tree() *cli.Command {
	root := &cli.Command{
		Name:  "brevet",
		Usage: "certificates and tokens for agents, and their end",
		Description: `brevet is a certificate and token authority for agents: workloads, resource
servers, devices. It registers them, gives them short-lived credentials that
renew by themselves, and ends those credentials at once when told to.

"brevet init" makes an authority in a directory and "brevet serve" runs it. All
other operators' commands talk to the running server: over the socket in that
directory, on the same machine, or from anywhere over HTTPS by an operator's
certificate (brevet operator, brevet context).
"brevet client" is for where the agent runs and needs nothing but the network.

Try it without traces: brevet dev

Exit status:
  0  done, or there was nothing left to do, or nothing to list
  1  refused or failed; one line on standard error says what, and what to do
  2  the command line makes no sense, whatever the authority holds: an unknown flag, a
     name that no agent can have; no server was asked, and no file was read

So a name that is not well-formed is 2, and a well-formed name of no agent is 1.
An argument or flag for a file takes - for standard input or output.`,
		Flags: globalFlags(),
		Subcommands: []*cli.Command{
			initCommand(),
			serveCommand(),
			devCommand(),
			reloadCommand(),
			readdressCommand(),
			statusCommand(),
			doctorCommand(),
			backupCommand(),
			restoreCommand(),
			verifyCommand(),
			versionCommand(),
			agentCommand(),
			roleCommand(),
			policyCommand(),
			operatorCommand(),
			contextCommand(),
			certCommand(),
			tokenCommand(),
			revokeCommand(),
			crlCommand(),
			inspectCommand(),
			pqcCommand(),
			auditCommand(),
			keyCommand(),
			caCommand(),
			clientCommand(),
			completionCommand(),
		},
	}
	finish(root)
	return root
}

// finish sets what all commands have in common.
func finish(c *cli.Command) {
	c.HideHelp = true // parse and help do that
	c.OnUsageError = func(ctx *cli.Context, err error, _ bool) error { return misuse(ctx, "%v", err) }
	for _, sub := range c.Subcommands {
		finish(sub)
	}
}

func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name:        "dir",
			Usage:       "`DIR` of the authority; else $BREVET_DIR",
			DefaultText: "/var/lib/brevet as root, else $XDG_DATA_HOME/brevet or ~/.local/share/brevet",
		},
		text("server", "`URL` of a server that answers operators over HTTPS (listen_admin), instead of --dir"),
		text("identity", "`DIR` of the operator, for --server, made by brevet operator login"),
		text("context", "`CONTEXT` instead of both, see brevet context; else $BREVET_CONTEXT, or that of brevet context use"),
		&cli.BoolFlag{Name: "json", Usage: "print one JSON document on standard output"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print only the essential: names, serial numbers, the token"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "say on standard error what is being used; log more"},
	}
}
