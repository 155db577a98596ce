package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func policyApplyCommand() *cli.Command {
	return &cli.Command{
		Name:      "apply",
		Usage:     "put policies into force",
		ArgsUsage: policyFiles,
		Description: `Puts the policies of a file, or of all files of a directory whose names end in .cedar,
into force, in place of those before. They decide what is issued from then on. Tokens
that agents hold already live on until they expire, minutes later.

Each set is a version with a number, and earlier versions are kept. The audit log has the
version and its SHA-256, which is that of

  sha256sum *.cedar | sha256sum

Nothing changes if a policy does not compile, or does not fit the schema, see brevet
policy check. FILE may be - for standard input.

Examples:
  $ brevet policy apply policies/
  $ brevet policy show 3 --quiet | brevet policy apply -`,
		Flags:  []cli.Flag{yes("unchecked", "also if the policies do not fit the schema; a policy that fails refuses the request")},
		Action: policyApply,
	}
}

func policyApply(c *cli.Context) error {
	files, err := readPolicies(c, c.Args().First())
	if err != nil {
		return err
	}
	in := api.ApplyPoliciesRequest{Unchecked: c.Bool("unchecked")}
	for _, f := range files {
		in.Files = append(in.Files, api.PolicyFile{Name: f.Name, Text: f.Text})
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	v, err := server.ApplyPolicies(c.Context, in)
	if err != nil {
		return err
	}
	return answer(c, v, []string{fmt.Sprint(v.Version)}, func(p *page) {
		p.line("Version %d of the policies is in force, with the SHA-256 %s.", v.Version, v.SHA256)
		if v.Note != "" {
			p.line("Note: %s.", printable(v.Note))
		}
	})
}

func policyRemoveCommand() *cli.Command {
	return &cli.Command{
		Name:  "remove",
		Usage: "take the policies in force away",
		Description: `Takes the policies in force away. Then the registry alone decides, which gives agents
more than before. The versions are kept, so "brevet policy show" prints them and "brevet
policy apply" puts them into force again, under a new number.

Example:
  $ brevet policy remove`,
		Action: policyRemove,
	}
}

func policyRemove(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	v, err := server.RemovePolicies(c.Context)
	if err != nil {
		return err
	}
	return answer(c, v, nil, func(p *page) {
		if v.Note != "" {
			p.line("%s.", printable(v.Note))
			return
		}
		p.line("Version %d of the policies is not in force any more. The registry alone decides.", v.Version)
	})
}
