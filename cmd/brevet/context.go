package main

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/client"
)

func contextCommand() *cli.Command {
	return &cli.Command{
		Name:     "context",
		Category: aboutAuthority,
		Usage:    "give authorities names, and choose the one that commands are about",
		Description: `A context is an authority under a name: a server that answers operators over HTTPS, with
the identity to present there, or a directory of this machine. Operators' commands are
about the authority that --server and --identity, --dir or --context name, or else
BREVET_CONTEXT or BREVET_DIR, or else "brevet context use". Contexts are in
$XDG_CONFIG_HOME/brevet/contexts.json, or else in ~/.config/brevet.`,
		Subcommands: []*cli.Command{contextAddCommand(), contextUseCommand(), contextListCommand(), contextRemoveCommand()},
	}
}

func contextAddCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "give an authority a name",
		ArgsUsage: "CONTEXT",
		Description: `Adds a context, or changes it. --server is the address of listen_admin, and --identity the
directory that "brevet operator login" made.

Examples:
  $ brevet context add paris --server https://brevet.paris.example.org:8444 --identity ~/.config/brevet/paris
  $ brevet context add here --dir /var/lib/brevet`,
		Flags: []cli.Flag{
			text("server", "`URL` at which the server answers operators"),
			text("identity", "`DIR` of the operator, made by brevet operator login"),
			text("dir", "`DIR` of an authority on this machine"),
		},
		Action: contextAdd,
	}
}

func contextAdd(c *cli.Context) error {
	name, t := c.Args().First(), destination{}
	switch {
	case c.IsSet("server") != c.IsSet("identity") || c.IsSet("server") == c.IsSet("dir"):
		return misuse(c, "give --server and --identity, or --dir")
	case c.IsSet("server"):
		if err := client.CheckServer(c.String("server")); err != nil {
			return misuse(c, "--server: %v", err)
		}
		if _, err := operatorIdentity(c.String("identity")); err != nil {
			return err
		}
		t.Server = c.String("server")
	}
	var err error
	for _, path := range []struct {
		to   *string
		flag string
	}{{&t.Identity, "identity"}, {&t.Dir, "dir"}} {
		if c.IsSet(path.flag) {
			if *path.to, err = filepath.Abs(c.String(path.flag)); err != nil {
				return err
			}
		}
	}
	return changeContexts(c, name, "is there", func(all *contexts) error {
		all.Contexts[name] = t
		return nil
	})
}

func contextUseCommand() *cli.Command {
	return &cli.Command{
		Name:        "use",
		Usage:       "have commands be about an authority",
		ArgsUsage:   "CONTEXT",
		Description: "Has operators' commands be about a context, in all shells of this user, if they are\ngiven nothing else.\n\nExample:\n  $ brevet context use paris",
		Action: func(c *cli.Context) error {
			return changeContexts(c, c.Args().First(), "is in use", func(all *contexts) error {
				_, err := all.named(c.Args().First(), c.Command.HelpName, nil)
				all.Current = c.Args().First()
				return err
			})
		},
	}
}

func contextRemoveCommand() *cli.Command {
	return &cli.Command{
		Name:        "remove",
		Usage:       "forget the name of an authority",
		ArgsUsage:   "CONTEXT",
		Description: "Removes a context. If it was in use, none is. The identity and the authority stay as they\nare.\n\nExample:\n  $ brevet context remove paris",
		Action: func(c *cli.Context) error {
			name := c.Args().First()
			return changeContexts(c, name, "is removed", func(all *contexts) error {
				if delete(all.Contexts, name); all.Current == name {
					all.Current = ""
				}
				return nil
			})
		},
	}
}

// changeContexts changes contexts.json, and says what a context is now.
func changeContexts(c *cli.Context, name, now string, change func(*contexts) error) error {
	all, err := readContexts()
	if err != nil {
		return err
	}
	if err := change(&all); err != nil {
		return err
	}
	if err := all.save(); err != nil {
		return err
	}
	return answer(c, struct {
		Name string `json:"name"`
	}{name}, []string{name}, func(p *page) { p.line("The context %s %s.", name, now) })
}

func contextListCommand() *cli.Command {
	return &cli.Command{
		Name:        "list",
		Usage:       "list the names of authorities",
		Description: "Lists contexts, by name, with the authority that each one means. USED says which one\n\"brevet context use\" chose.\n\nExample:\n  $ brevet context list",
		Flags:       []cli.Flag{outputFlag()},
		Action:      contextList,
	}
}

func contextList(c *cli.Context) error {
	all, err := readContexts()
	if err != nil {
		return err
	}
	type shown struct {
		Name string `json:"name"`
		destination
		Current bool `json:"current"`
	}
	var docs []shown
	for _, name := range all.names() {
		docs = append(docs, shown{name, all.Contexts[name], name == all.Current})
	}
	return answer(c, list(docs), all.names(), func(p *page) {
		var t table
		t.styled(bold, "NAME", "USED", "AUTHORITY", "IDENTITY")
		for _, d := range docs {
			used := ""
			if d.Current {
				used = "yes"
			}
			t.styled("", d.Name, used, fmt.Sprint(d.Server, d.Dir), d.Identity)
		}
		p.tableOr("No contexts.", t)
	})
}
