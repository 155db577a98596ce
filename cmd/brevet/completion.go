package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// The scripts ask this program what fits, so they never change with it.
var (
	//go:embed completion/brevet.bash
	bashScript string
	//go:embed completion/brevet.zsh
	zshScript string
	//go:embed completion/brevet.fish
	fishScript string
)

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Category:  aboutShell,
		Usage:     "print a script that completes commands in a shell",
		ArgsUsage: "bash|zsh|fish",
		Description: `Prints a script for the shell. It completes commands, flags, their values where
these are few, and the names of agents if the server runs and you may ask it.

Examples:
  $ source <(brevet completion bash)                                  # in ~/.bashrc
  $ brevet completion zsh > "${fpath[1]}/_brevet"                     # once
  $ brevet completion fish > ~/.config/fish/completions/brevet.fish   # once`,
		Action: func(c *cli.Context) error {
			script := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[c.Args().First()]
			_, err := io.WriteString(c.App.Writer, script)
			return err
		},
	}
}

// completeCommand is what the scripts call, with the words up to the cursor.
const completeCommand = "__complete"

// complete prints what the last word may become, a line each, followed by a
// tab and what it is.
func complete(ctx context.Context, w io.Writer, root *cli.Command, words []string) {
	words = rejoin(words)
	if len(words) == 0 {
		words = []string{""}
	}
	typed := words[len(words)-1]
	l, err := parse(root, words[:len(words)-1])
	if err != nil && l.pending == nil {
		return
	}
	for _, c := range l.candidates(ctx, typed) {
		if strings.HasPrefix(c[0], typed) {
			fmt.Fprintf(w, "%s\t%s\n", c[0], c[1])
		}
	}
}

// rejoin joins words again that bash split at = and :.
func rejoin(words []string) []string {
	var out []string
	glue := false
	for _, word := range words {
		sign := word == "=" || word == ":"
		if n := len(out); n > 0 && (glue || sign) {
			out[n-1] += word
		} else {
			out = append(out, word)
		}
		glue = sign
	}
	return out
}

// candidates returns what may come next, and what each is.
func (l *line) candidates(ctx context.Context, typed string) [][2]string {
	c := l.last()
	switch {
	case l.pending != nil:
		return l.values(ctx, placeholder(l.pending))
	case strings.HasPrefix(typed, "-"):
		return l.flagCandidates()
	case len(c.Subcommands) > 0:
		var all [][2]string
		for _, sub := range c.Subcommands {
			if !sub.Hidden {
				all = append(all, [2]string{sub.Name, sub.Usage})
			}
		}
		return all
	}
	if wanted := strings.Fields(c.ArgsUsage); len(l.args) < len(wanted) {
		return l.values(ctx, wanted[len(l.args)])
	}
	return nil
}

// flagCandidates returns the flags that may still be given.
func (l *line) flagCandidates() [][2]string {
	var all [][2]string
	for i := len(l.path) - 1; i >= 0; i-- {
		for _, f := range l.path[i].Flags {
			name := f.Names()[0]
			at, _ := l.lookup(name)
			if at == i && (isList(f) || !l.given(name)) {
				all = append(all, [2]string{"--" + name, flagUsage(f)})
			}
		}
	}
	return append(all, [2]string{"--help", "print the manual"})
}

// values returns what a placeholder may stand for, if that can be listed. If
// not, the shells offer files.
func (l *line) values(ctx context.Context, placeholder string) [][2]string {
	var words []string
	switch {
	case strings.Contains(placeholder, "|"):
		words = strings.Split(strings.Trim(placeholder, "[]"), "|")
	case placeholder == "REASON":
		words = reasons
	case placeholder == "SETTING":
		if words = erasable; l.name() == "brevet role set" {
			words = erasableOfRole
		}
	case placeholder == "NAME" && !l.adds():
		words = l.agents(ctx)
	case placeholder == "CONTEXT":
		if all, err := readContexts(); err == nil {
			words = all.names()
		}
	case placeholder == "OPERATOR":
		words = l.operators(ctx)
	case placeholder == "ROLE" && !strings.HasPrefix(l.name(), "brevet operator") && l.name() != "brevet role add":
		words = l.roles(ctx)
	}
	var all [][2]string
	for _, word := range words {
		all = append(all, [2]string{word, ""})
	}
	return all
}

// adds reports whether the line is about a name that is not given out yet.
func (l *line) adds() bool {
	return slices.Contains([]string{"brevet agent add", "brevet init", "brevet client enroll"}, l.name())
}

// agents returns the names of the agents, if a server is running.
func (l *line) agents(ctx context.Context) []string {
	return offered(l, ctx, func(c *api.Client, ctx context.Context) ([]api.Agent, error) { return c.Agents(ctx, api.Filter{}) }, func(a api.Agent) string { return a.Name })
}

// operators returns the names of the operators, likewise.
func (l *line) operators(ctx context.Context) []string {
	return offered(l, ctx, (*api.Client).Operators, func(o api.Operator) string { return o.Name })
}

// roles returns the names of the roles of agents, likewise.
func (l *line) roles(ctx context.Context) []string {
	return offered(l, ctx, (*api.Client).Roles, func(r api.Role) string { return r.Name })
}

// offered returns the names of what the server lists. Without a server there is nothing to
// offer.
func offered[T any](l *line, ctx context.Context, ask func(*api.Client, context.Context) ([]T, error), name func(T) string) (names []string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	t, err := l.destination()
	if err != nil {
		return nil
	}
	server, err := t.dial(ctx, io.Discard)
	if err != nil {
		return nil
	}
	found, _ := ask(server, ctx)
	for _, one := range found {
		names = append(names, name(one))
	}
	return names
}

// destination returns the authority that a line which is not complete is about, as destinationOf does.
func (l *line) destination() (destination, error) {
	var t destination
	for _, g := range l.flags {
		switch g.name {
		case "dir":
			t.Dir = g.value
		case "server":
			t.Server = g.value
		case "identity":
			t.Identity = g.value
		case "context":
			return contextNamed(g.value, "--context")
		}
	}
	if t != (destination{}) {
		return t, nil
	}
	return usualDestination(os.Getenv)
}
