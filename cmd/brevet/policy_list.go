package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func policyListCommand() *cli.Command {
	return &cli.Command{
		Name:        "list",
		Usage:       "list the versions of the policies",
		Description: "Lists the versions of the policies that were applied, the newest first.\n\nExample:\n  $ brevet policy list",
		Flags:       []cli.Flag{outputFlag()},
		Action:      policyList,
	}
}

func policyList(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	all, err := server.Policies(c.Context)
	if err != nil {
		return err
	}
	var numbers []string
	for _, v := range all {
		numbers = append(numbers, fmt.Sprint(v.Version))
	}
	return answer(c, list(all), numbers, func(p *page) {
		var t table
		t.styled(bold, "VERSION", "IN FORCE", "APPLIED", "BY", "FILES", "SHA-256")
		for _, v := range all {
			t.row(fmt.Sprint(v.Version), map[bool]string{true: "yes", false: "-"}[v.InForce], at(v.Applied), v.Actor, fileNames(v), v.SHA256)
		}
		p.tableOr("No policies were applied.", t)
	})
}

func fileNames(v api.PolicyVersion) string {
	var names []string
	for _, f := range v.Files {
		names = append(names, f.Name)
	}
	return strings.Join(names, " ")
}

func policyShowCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show a version of the policies",
		ArgsUsage: "[VERSION]",
		Description: `Shows the policies in force, or those of a version that brevet policy list names. With
--quiet it prints the policies alone, one file after the other.

Examples:
  $ brevet policy show
  $ brevet policy show 3 --quiet > policies.cedar`,
		Action: policyShow,
	}
}

// versionOf returns the version that an argument names, or the one in force.
func versionOf(argument string) string {
	if argument == "" {
		return "current"
	}
	return argument
}

func policyShow(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	v, err := server.PolicyVersion(c.Context, versionOf(c.Args().First()))
	if err != nil {
		return err
	}
	var texts []string
	for _, f := range v.Files {
		texts = append(texts, strings.TrimSuffix(f.Text, "\n"))
	}
	return answer(c, v, texts, func(p *page) {
		var t table
		t.pair("Version", fmt.Sprint(v.Version))
		t.pair("In force", map[bool]string{true: "yes", false: "no"}[v.InForce])
		t.pair("Applied", at(v.Applied)+" by "+v.Actor)
		t.pair("SHA-256", v.SHA256)
		t.pair("Zone", v.Zone)
		p.table(t)
		for i, f := range v.Files {
			p.line("")
			p.line("%s", p.in(bold, "// "+f.Name))
			p.line("%s", printableText(texts[i]))
		}
	})
}

// printableText is printable for a text of several lines.
func printableText(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = printable(strings.ReplaceAll(strings.TrimSuffix(l, "\r"), "\t", "    "))
	}
	return strings.Join(lines, "\n")
}
