package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/agents/policy/cedar"
	"github.com/brevet-ca/brevet/agents/secret"
)

func policyCommand() *cli.Command {
	return &cli.Command{
		Name:     "policy",
		Category: aboutAgents,
		Usage:    "decide by policies what agents get of what the registry gives them",
		Description: `Policies in the Cedar language (https://docs.cedarpolicy.com) say when an agent gets a
token or a certificate. They narrow what the registry gives, and never give more. As
long as policies are in force, what no policy permits is refused: certificates and their
renewals, too. While none are, the registry alone decides.

An example:
  permit(principal in Label::"team=billing", action == Action::"token.mint", resource)
  when { context.scope == "invoices:read" && context.hour >= 9 && context.hour < 18 };
  permit(principal, action == Action::"certificate.issue", resource);`,
		Subcommands: []*cli.Command{
			policyApplyCommand(), policyListCommand(), policyShowCommand(), policyRemoveCommand(),
			policyCheckCommand(), policyTestCommand(), policyReplayCommand(), policyExplainCommand(), policySchemaCommand(),
		},
	}
}

// policyFiles are the arguments that name policies.
const policyFiles = "FILE|DIR"

var policyFile = fileArgument{policyFiles, "policies in Cedar, or a directory with such files"}

// readPolicies reads a file with policies, or those of a directory.
func readPolicies(c *cli.Context, path string) ([]policies.File, error) {
	info, err := os.Stat(path)
	if path == "-" || err == nil && !info.IsDir() {
		f, err := readPolicy(c, path)
		return []policies.File{f}, err
	}
	if err != nil {
		return nil, policyFile.refused(path, err)
	}
	names, err := filepath.Glob(filepath.Join(escapeGlob(path), "*"+cedar.Extension))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no file whose name ends in %s", shown(path), cedar.Extension)
	}
	if len(names) > policies.MaxFiles {
		return nil, fmt.Errorf("%s has %d files of policies, and a set has %d at most", shown(path), len(names), policies.MaxFiles)
	}
	var files []policies.File
	for _, name := range names {
		f, err := readPolicy(c, name)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// readPolicy reads one file. Standard input is a file of the name policies.cedar.
func readPolicy(c *cli.Context, name string) (policies.File, error) {
	text, err := policyFile.readUpTo(c, name, policies.MaxText)
	if kind := secret.RecognizeFile(text); kind != "" {
		return policies.File{}, fmt.Errorf("%s holds %s, which is not what belongs here: nothing was sent", shown(name), kind)
	}
	base := filepath.Base(name)
	if name == "-" {
		base = "policies" + cedar.Extension
	}
	return policies.File{Name: base, Text: string(text)}, err
}

// escapeGlob keeps the name of a directory from being a pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func policyCheckCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "check policies against the schema",
		ArgsUsage: policyFiles,
		Description: `Compiles policies and compares them with the schema (brevet policy schema): types of
entities, attributes and actions that there are not, attributes that may be missing and
are read without "has", and policies that can never match. It tells which kinds of
credentials no policy permits. No server is needed. The exit status is 1 if it finds
anything wrong.

Example:
  $ brevet policy check policies/`,
		Action: policyCheck,
	}
}

func policyCheck(c *cli.Context) error {
	files, err := readPolicies(c, c.Args().First())
	if err != nil {
		return err
	}
	set, err := cedar.Compile(files)
	if err != nil {
		return err
	}
	found, none := set.Check(), set.Unpermitted()
	doc := map[string]any{"policies": set.Policies(), "sha256": policies.Digest(files), "findings": list(found), "unpermitted": list(none)}
	err = answer(c, doc, nil, func(p *page) {
		for _, f := range found {
			p.line("%s", printable(f.String()))
		}
		for _, a := range none {
			p.line("No policy permits %s: while these are in force, no agent gets that.", a)
		}
		p.line("%s in %s.", count(set.Policies(), "policy"), count(len(files), "file"))
	})
	if err == nil && len(found) > 0 {
		err = errors.New("the policies do not fit the schema")
	}
	return err
}

func policySchemaCommand() *cli.Command {
	return &cli.Command{
		Name:  "schema",
		Usage: "print what policies may read",
		Description: `Prints the schema of policies, in Cedar's schema language: the types of entities, their
attributes, the actions and what a request has. Editors and Cedar's own tools read it.
No server is needed.

Example:
  $ brevet policy schema > brevet.cedarschema`,
		Action: func(c *cli.Context) error {
			return answer(c, map[string]string{"schema": cedar.Schema()}, nil, func(p *page) { p.WriteString(cedar.Schema()) })
		},
	}
}
