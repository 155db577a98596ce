package main

import "github.com/urfave/cli/v2"

func clientCommand() *cli.Command {
	return &cli.Command{
		Name:     "client",
		Category: aboutClient,
		Usage:    "enroll, renew and get tokens, where the agent runs",
		Description: `These commands run where the agent runs, as its user. They need the network and a
directory of the agent's own. It holds the certificate (cert.pem, with the chain),
the private key (key.pem), which was made there and never leaves, the roots that
the agent trusts (roots.pem) and the URL of the authority (client.json).

--dir is the agent's directory here, not the authority's.`,
		Subcommands: []*cli.Command{
			clientEnrollCommand(),
			clientShowCommand(),
			clientCertCommand(),
			clientTokenCommand(),
			clientCRLCommand(),
			clientRunCommand(),
			clientBootstrapCommand(),
		},
	}
}

// identityFlag shadows the global --dir below brevet client.
func identityFlag() cli.Flag {
	return needed("dir", "`DIR` of the agent, made by brevet client enroll")
}
