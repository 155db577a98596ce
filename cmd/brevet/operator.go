package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func operatorCommand() *cli.Command {
	return &cli.Command{
		Name:     "operator",
		Category: aboutAuthority,
		Usage:    "say who operates the authority, and stop them",
		Description: `Operators with names have a role each: viewer, operator, security or admin. They are
people whom "brevet operator add" lets have a certificate, and users of the server's machine
whom "operators" in brevet.yaml lists. The same name is the same person. Root and the
server's user are admins without a name.

Example of brevet.yaml:
  operators:
    1000: {name: alice, role: operator}`,
		Subcommands: []*cli.Command{
			operatorAddCommand(), operatorEnrollCommand(), operatorLoginCommand(), operatorListCommand(), operatorShowCommand(),
			operatorTokenCommand(), operatorSetCommand(), operatorSuspendCommand(), operatorResumeCommand(), operatorRemoveCommand(),
		},
	}
}

func operatorListCommand() *cli.Command {
	return &cli.Command{
		Name:        "list",
		Usage:       "list operators",
		Description: "Lists the operators with names, by name.\n\nExample:\n  $ brevet operator list",
		Flags:       []cli.Flag{outputFlag()},
		Action:      operatorList,
	}
}

func operatorList(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	all, err := server.Operators(c.Context)
	if err != nil {
		return err
	}
	var names []string
	for _, o := range all {
		names = append(names, o.Name)
	}
	return answer(c, list(all), names, func(p *page) {
		var t table
		t.styled(bold, "NAME", "ROLE", "STATE", "USER IDS", "CERTIFICATE UNTIL")
		for _, o := range all {
			t.styled(stateStyle(o.State), o.Name, o.Role, o.State, userIDs(o), at(o.CertExpires))
		}
		p.tableOr("No operators have names.", t)
	})
}

// userIDs writes the users of the machine that an operator is.
func userIDs(o api.Operator) string {
	var ids []string
	for _, uid := range o.UIDs {
		ids = append(ids, fmt.Sprint(uid))
	}
	return strings.Join(ids, " ")
}
