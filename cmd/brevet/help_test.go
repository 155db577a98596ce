package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// eachCommand calls f with the path to each command.
func eachCommand(path []*cli.Command, f func([]*cli.Command)) {
	f(path)
	for _, sub := range path[len(path)-1].Subcommands {
		eachCommand(append(path[:len(path):len(path)], sub), f)
	}
}

func TestHelpIsAManual(t *testing.T) {
	eachCommand([]*cli.Command{tree()}, func(path []*cli.Command) {
		l := line{path: path}
		c := l.last()
		argv := append(strings.Fields(l.name())[1:], "--help")
		status, text, stderr := brevet(t, "", argv...)
		if status != 0 || stderr != "" {
			t.Errorf("%s: got status %d and %q", argv, status, stderr)
		}
		if c.Usage == "" || len(c.Description) < 60 {
			t.Errorf("%s says too little of itself", l.name())
		}
		if c.Action != nil && c.Name != "version" && !strings.Contains(c.Description, "Example") {
			t.Errorf("%s has no example", l.name())
		}
		for _, f := range c.Flags {
			if !strings.Contains(text, "--"+f.Names()[0]) {
				t.Errorf("the help of %s leaves out --%s", l.name(), f.Names()[0])
			}
			if takesValue(f) && placeholder(f) == "" {
				t.Errorf("--%s of %s has no word for its value", f.Names()[0], l.name())
			}
		}
		for _, sub := range c.Subcommands {
			if !strings.Contains(text, "\n  "+sub.Name+" ") {
				t.Errorf("the help of %s leaves out %s", l.name(), sub.Name)
			}
		}
		_, options, _ := strings.Cut(text, "\nOptions")
		options, _, _ = strings.Cut(options, "\n\n")
		for _, row := range strings.Split(options, "\n")[1:] {
			if width(row) > 80 {
				t.Errorf("the options of %s have a line of %d columns: %s", l.name(), width(row), row)
			}
		}
		for _, row := range strings.Split(text, "\n") {
			if len([]rune(row)) > 110 {
				t.Errorf("the help of %s has a line of %d characters: %s", l.name(), len(row), row)
			}
		}
	})
}

func TestEveryCommandHasItsPlace(t *testing.T) {
	for _, c := range tree().Subcommands {
		known := false
		for _, category := range categories {
			known = known || c.Category == category
		}
		if !known {
			t.Errorf("%s has the category %q", c.Name, c.Category)
		}
	}
}

// elsewhere are the commands whose --server, --identity or --dir are not those of an operator's
// command: they are those of an agent, of an enrollment, or what a context is to name.
var elsewhere = []string{"client", "login", "context"}

// TestFlagsDoNotHideGlobalOnes holds for all but the flags of these commands.
func TestFlagsDoNotHideGlobalOnes(t *testing.T) {
	root := tree()
	eachCommand([]*cli.Command{root}, func(path []*cli.Command) {
		if len(path) == 1 {
			return
		}
		for _, f := range path[len(path)-1].Flags {
			for _, name := range f.Names() {
				_, hidden := (&line{path: path[:1]}).lookup(name)
				other := slices.Contains([]string{"dir", "server", "identity"}, name) && slices.ContainsFunc(path, func(c *cli.Command) bool { return slices.Contains(elsewhere, c.Name) })
				if hidden != nil && !other {
					t.Errorf("--%s of %s hides the global one", name, (&line{path: path}).name())
				}
			}
		}
	})
}

// TestExamplesAreUnderstood parses the examples in the manual.
func TestExamplesAreUnderstood(t *testing.T) {
	seen := 0
	eachCommand([]*cli.Command{tree()}, func(path []*cli.Command) {
		text := strings.ReplaceAll(path[len(path)-1].Description, "\\\n", " ")
		for _, row := range strings.Split(text, "\n") {
			command, ok := strings.CutPrefix(strings.TrimSpace(row), "$ brevet ")
			if !ok {
				continue
			}
			seen++
			command, _, _ = strings.Cut(command, " | ")
			for _, end := range []string{" > ", " >> ", " && ", " || ", " # ", "$(", " 3<"} {
				if before, _, cut := strings.Cut(command, end); cut {
					command = before
					if end == "$(" {
						command += zeros[:40]
					}
				}
			}
			l, err := parse(tree(), strings.Fields(strings.ReplaceAll(command, "'systemctl reload nginx'", "CMD")))
			if err == nil {
				err = l.check()
			}
			if err != nil {
				t.Errorf("$ brevet %s: %v", command, err)
			}
		}
	})
	if seen < 30 {
		t.Errorf("only %d examples were found", seen)
	}
}
