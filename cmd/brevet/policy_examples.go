package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/agents/policy/cedar"
	"github.com/brevet-ca/brevet/server/admin/api"
)

func policyTestCommand() *cli.Command {
	return &cli.Command{
		Name:      "test",
		Usage:     "try policies on the examples beside them",
		ArgsUsage: policyFiles,
		Description: `Gives each example to the policies and compares the verdict. For a directory these are
the examples of all its files whose names end in .test.yaml or .test.json; for a file
hours.cedar, those of hours.test.yaml or hours.test.json. No server is needed, unless
--registry is given: then agents that the examples do not describe are those of the
server. The exit status is 1 if a verdict is another one.

An example of such a file:
  zone: Europe/Berlin
  agents:
    billing-bot: {owner: finance, labels: {team: billing}}
  examples:
    - name: in the morning
      agent: billing-bot
      scope: invoices:read
      audience: https://erp.example
      time: 2026-03-02T09:00
      verdict: permit
    - {agent: billing-bot, action: certificate.issue, profile: default, verdict: deny}

Examples may also have peer, proof, names, granted (the scopes that the token gets) and
policies (those that determine the verdict).

Example:
  $ brevet policy test policies/`,
		Flags:  []cli.Flag{yes("registry", "take agents from the server that the examples do not describe")},
		Action: policyTest,
	}
}

func policyTest(c *cli.Context) error {
	path := c.Args().First()
	set, err := compiled(c, path)
	if err != nil {
		return err
	}
	files, err := exampleFiles(path)
	if err != nil {
		return err
	}
	registry, err := registryOf(c)
	if err != nil {
		return err
	}
	all, failed := []cedar.Tested{}, 0
	for _, name := range files {
		tested, err := testFile(c, set, name, registry)
		if err != nil {
			return fmt.Errorf("%s: %w", shown(name), err)
		}
		all = append(all, tested...)
	}
	for _, t := range all {
		if !t.Passed {
			failed++
		}
	}
	err = answer(c, all, nil, func(p *page) {
		for _, t := range all {
			if !t.Passed {
				p.line("%s", p.in(red, printable(fmt.Sprintf("%s: got %s, want %s", t.Name, t.Got, t.Want))))
			}
		}
		p.line("%s, %d of them wrong.", count(len(all), "example"), failed)
	})
	if err == nil && failed > 0 {
		err = errors.New("the policies decide otherwise than the examples say")
	}
	return err
}

// compiled reads and compiles policies.
func compiled(c *cli.Context, path string) (*cedar.Set, error) {
	files, err := readPolicies(c, path)
	if err != nil {
		return nil, err
	}
	return cedar.Compile(files)
}

// exampleFiles returns the names of the files with the examples of policies.
func exampleFiles(path string) (found []string, err error) {
	stem := strings.TrimSuffix(path, cedar.Extension)
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.IsDir() {
		stem = filepath.Join(path, "*")
	}
	for _, extension := range []string{".test.yaml", ".test.json"} {
		pattern := escapeGlob(strings.TrimSuffix(stem, "*")) + map[bool]string{true: "*"}[strings.HasSuffix(stem, "*")] + extension
		names, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		found = append(found, names...)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there are no examples beside %s: write them to a file whose name ends in .test.yaml", shown(path))
	}
	slices.Sort(found)
	return found, nil
}

func testFile(c *cli.Context, set *cedar.Set, name string, registry func(string) (cedar.Registered, error)) ([]cedar.Tested, error) {
	text, err := fileArgument{policyFiles, "examples"}.readUpTo(c, name, cedar.MaxExamples)
	if err != nil {
		return nil, err
	}
	examples, err := cedar.ParseExamples(text)
	if err != nil {
		return nil, err
	}
	return examples.Test(set, registry)
}

// registryOf returns what looks up agents of the server, or nil without --registry.
func registryOf(c *cli.Context) (func(string) (cedar.Registered, error), error) {
	if !c.Bool("registry") {
		return nil, nil
	}
	server, err := dial(c)
	if err != nil {
		return nil, err
	}
	return func(name string) (cedar.Registered, error) {
		a, err := server.Agent(c.Context, name)
		return registered(a.Agent), err
	}, nil
}

// registered returns what policies may read of an agent.
func registered(a api.Agent) cedar.Registered {
	out := cedar.Registered{Agent: agents.Agent{Name: agents.Name(a.Name), Owner: a.Owner, Purpose: a.Purpose, Labels: a.Labels, Created: a.Created, Expires: a.Expires}}
	add := func(role string) {
		if role != "" && !slices.Contains(a.RolesRemoved, role) && !slices.Contains(out.Roles, agents.RoleName(role)) {
			out.Roles = append(out.Roles, agents.RoleName(role))
		}
	}
	for _, role := range a.Roles {
		add(role)
	}
	for _, g := range a.Grants {
		if time.Now().Before(g.Until) {
			add(g.Role)
		}
	}
	out.Agent.Roles = out.Roles
	return out
}

// versionFiles returns the files of a version.
func versionFiles(v api.PolicyVersion) (files []policies.File) {
	for _, f := range v.Files {
		files = append(files, policies.File{Name: f.Name, Text: f.Text})
	}
	return files
}
