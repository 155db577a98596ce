package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func roleCommand() *cli.Command {
	return &cli.Command{
		Name:     "role",
		Category: aboutAgents,
		Usage:    "give many agents the same scopes and audiences by a name",
		Description: `A role is a named set of scopes, audiences and types of authorization_details. Agents
have roles beside scopes and audiences of their own ("brevet agent set NAME --role ROLE"),
and all of it adds up. A change of a role shows in the next token of each agent that has it,
and at once in the introspection of tokens that are out.

The roles of operators (viewer, operator, security, admin) are something else: see brevet
operator.`,
		Subcommands: []*cli.Command{roleAddCommand(), roleSetCommand(), roleListCommand(), roleShowCommand(), roleRemoveCommand()},
	}
}

// roleFlags are the flags for what a role has.
func roleFlags() []cli.Flag {
	return []cli.Flag{
		text("description", "`TEXT` that says what the role is for"),
		texts("scope", "`SCOPE` that tokens may have, such as orders:read"),
		texts("audience", "`URL` of a resource server that tokens may be for"),
		texts("details", "`TYPE` of authorization_details that agents may ask for (RFC 9396)"),
	}
}

func roleAddCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "make a role",
		ArgsUsage: "ROLE",
		Description: `Makes a role. Its name is one lower-case DNS label. The name of a role that was
removed may be used again once no agent has it on record any more.

To give a list, repeat its flag.

Example:
  $ brevet role add invoice-reader --scope invoices:read --audience https://invoices.example.org`,
		Flags: roleFlags(),
		Action: func(c *cli.Context) error {
			return changeRole(c, roleChangeOf(c), (*api.Client).AddRole, "is made")
		},
	}
}

// erasableOfRole are the settings of a role that may be empty.
var erasableOfRole = []string{"description", "scope", "audience", "details"}

// roleSetting accepts what --clear can make empty.
func roleSetting(s string) error {
	if !slices.Contains(erasableOfRole, s) {
		return fmt.Errorf("invalid value %.80q: want %s", s, orList(erasableOfRole))
	}
	return nil
}

func roleSetCommand() *cli.Command {
	return &cli.Command{
		Name:      "set",
		Usage:     "change a role, for all agents that have it",
		ArgsUsage: "ROLE",
		Description: `Changes what a role gives. Without its flag, a list stays as it is. A list that you
give replaces the old one, and --clear empties one.

The change takes effect at once: the next introspection of a token shows the scopes that
are left, whichever agent has it.

Examples:
  $ brevet role set invoice-reader --scope invoices:read --scope invoices:list
  $ brevet role set invoice-reader --clear audience`,
		Flags:  append(roleFlags(), texts("clear", "`SETTING` to make empty: "+orList(erasableOfRole))),
		Action: roleSet,
	}
}

func roleSet(c *cli.Context) error {
	if len(c.LocalFlagNames()) == 0 {
		return misuse(c, "nothing to set: say what to change")
	}
	change := roleChangeOf(c)
	for _, flag := range c.StringSlice("clear") {
		if c.IsSet(flag) {
			return misuse(c, "--%s and --clear %s exclude each other", flag, flag)
		}
		switch flag {
		case "description":
			change.Description = new("")
		case "scope":
			change.Scopes = []string{}
		case "audience":
			change.Audiences = []string{}
		case "details":
			change.Details = []string{}
		}
	}
	return changeRole(c, change, (*api.Client).SetRole, "is changed")
}

func roleRemoveCommand() *cli.Command {
	return &cli.Command{
		Name:      "remove",
		Usage:     "remove a role",
		ArgsUsage: "ROLE",
		Description: `Removes a role. If agents have it, the command is refused; "brevet agent list --role
ROLE" shows them. With --force it gives them nothing any more, at once. Its name stays on
their records, marked as removed, until you give them other roles.

Example:
  $ brevet role remove invoice-reader`,
		Flags: []cli.Flag{yes("force", "also if agents have it")},
		Action: func(c *cli.Context) error {
			return askRole(c, func(s *api.Client, ctx context.Context, name string) (api.Role, error) {
				return s.RemoveRole(ctx, name, c.Bool("force"))
			}, func(p *page, r api.Role) { toldRole(p, r, "is removed") })
		},
	}
}

func roleListCommand() *cli.Command {
	return &cli.Command{
		Name:        "list",
		Usage:       "list roles",
		Description: "Lists the roles by name, with how many agents have each on record.\n\nExample:\n  $ brevet role list",
		Flags:       []cli.Flag{outputFlag()},
		Action:      roleList,
	}
}

func roleList(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	all, err := server.Roles(c.Context)
	if err != nil {
		return err
	}
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	return answer(c, list(all), names, func(p *page) {
		var t table
		t.styled(bold, "NAME", "AGENTS", "SCOPES", "AUDIENCES", "DESCRIPTION")
		for _, r := range all {
			t.styled("", r.Name, fmt.Sprint(r.Agents), orDash(strings.Join(r.Scopes, " ")), orDash(strings.Join(r.Audiences, " ")), r.Description)
		}
		p.tableOr("No roles.", t)
	})
}

func roleShowCommand() *cli.Command {
	return &cli.Command{
		Name:        "show",
		Usage:       "show one role",
		ArgsUsage:   "ROLE",
		Description: "Shows what a role gives, and how many agents have it on record.\n\nExample:\n  $ brevet role show invoice-reader",
		Action: func(c *cli.Context) error {
			return askRole(c, (*api.Client).Role, (*page).role)
		},
	}
}

func (p *page) role(r api.Role) {
	var t table
	t.pair("Name", r.Name)
	t.pair("Description", r.Description)
	t.pair("Scopes", strings.Join(r.Scopes, " "))
	t.pair("Audiences", strings.Join(r.Audiences, " "))
	t.pair("Details", strings.Join(r.Details, " "))
	t.pair("Agents", fmt.Sprint(r.Agents))
	t.pair("Made", at(r.Created))
	t.pair("Changed", at(r.Changed))
	p.table(t)
}

// roleChangeOf returns what the flags say about a role.
func roleChangeOf(c *cli.Context) api.RoleChange {
	return api.RoleChange{
		Description: textOf(c, "description"), Scopes: listOf(c, "scope"), Audiences: listOf(c, "audience"), Details: listOf(c, "details"),
	}
}

// changeRole has the server change a role, and says what was done.
func changeRole(c *cli.Context, change api.RoleChange, ask func(*api.Client, context.Context, string, api.RoleChange) (api.Role, error), done string) error {
	return askRole(c, func(s *api.Client, ctx context.Context, name string) (api.Role, error) {
		return ask(s, ctx, name, change)
	}, func(p *page, r api.Role) { toldRole(p, r, done) })
}

// askRole asks the server about the role that is named.
func askRole(c *cli.Context, ask func(*api.Client, context.Context, string) (api.Role, error), tell func(*page, api.Role)) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	r, err := ask(server, c.Context, c.Args().First())
	if err != nil {
		return err
	}
	return answer(c, r, []string{r.Name}, func(p *page) { tell(p, r) })
}

// toldRole says what was done to a role.
func toldRole(p *page, r api.Role, done string) {
	if strings.HasSuffix(r.Note, "already") {
		p.line("%s.", r.Note)
		return
	}
	p.line("The role %s %s.", r.Name, done)
	if r.Note != "" {
		p.line("%s.", r.Note)
	}
	if r.Note == "" && r.Agents > 0 {
		p.line("%s have it.", count(r.Agents, "agent"))
	}
}
