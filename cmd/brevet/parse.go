package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// A line is a command line, taken apart. The cli package stops reading flags
// at the first argument, and takes global ones only before the command; people
// write them anywhere. So parse reads argv by the tree of commands, and argv
// gives it back in the order that the cli package wants.
type line struct {
	path    []*cli.Command // from the root down
	flags   []given
	args    []string
	help    bool
	pending cli.Flag // the last flag, if the line ends where its value should be
}

// A given flag is one on the command line.
type given struct {
	name  string // the flag's first name
	value string // "" if hasValue is not set
	has   bool   // has a value, which boolean flags mostly do not
}

// parse takes argv apart, as far as it makes sense.
func parse(root *cli.Command, argv []string) (line, error) {
	l := line{path: []*cli.Command{root}}
	for len(argv) > 0 {
		word := argv[0]
		argv = argv[1:]
		switch {
		case word == "--":
			l.args = append(l.args, argv...)
			return l, nil
		case word == "--version" && len(l.path) == 1:
			l.path = append(l.path, find(root, "version"))
		case len(word) > 1 && word[0] == '-':
			rest, err := l.flag(word, argv)
			if err != nil {
				return l, err
			}
			argv = rest
		case len(l.last().Subcommands) == 0:
			l.args = append(l.args, word)
		case word == "help":
			l.help = true
		default:
			c := find(l.last(), word)
			if c == nil {
				return l, l.unknownCommand(word)
			}
			l.path = append(l.path, c)
		}
	}
	return l, nil
}

func (l *line) last() *cli.Command { return l.path[len(l.path)-1] }

// name is what the user has typed to get here: "brevet agent add".
func (l *line) name() string {
	var names []string
	for _, c := range l.path {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

func (l *line) misuse(format string, args ...any) error {
	return usageError{l.name(), fmt.Sprintf(format, args...)}
}

func find(c *cli.Command, name string) *cli.Command {
	i := slices.IndexFunc(c.Subcommands, func(sub *cli.Command) bool { return sub.HasName(name) })
	if i < 0 {
		return nil
	}
	return c.Subcommands[i]
}

// flag reads the flag in word, and its value from the words that follow, which
// it returns without the value.
func (l *line) flag(word string, rest []string) ([]string, error) {
	name, value, has := strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
	if name == "help" || name == "h" {
		l.help = true
		return rest, nil
	}
	_, f := l.lookup(name)
	if f == nil {
		return nil, l.unknownFlag(name)
	}
	g := given{f.Names()[0], value, has}
	if takesValue(f) && !has {
		if len(rest) == 0 {
			l.pending = f
			return nil, l.misuse("--%s needs a value", g.name)
		}
		g.value, g.has, rest = rest[0], true, rest[1:]
	}
	if takesValue(f) && !isList(f) && l.given(g.name) {
		return nil, l.misuse("--%s is given twice", g.name)
	}
	l.flags = append(l.flags, g)
	return rest, nil
}

func (l *line) given(name string) bool {
	return slices.ContainsFunc(l.flags, func(g given) bool { return g.name == name })
}

// lookup returns the flag of that name which is defined closest to the end of
// the path, and where: "brevet client" has a --dir of its own.
func (l *line) lookup(name string) (int, cli.Flag) {
	for i := len(l.path) - 1; i >= 0; i-- {
		for _, f := range l.path[i].Flags {
			if slices.Contains(f.Names(), name) {
				return i, f
			}
		}
	}
	return 0, nil
}

// check tells whether the command has all that it needs and no more. No value may be
// empty: an empty variable in a script must not list, change, revoke, erase or ask for
// more than the operator meant.
func (l *line) check() error {
	c := l.last()
	_, name, _ := strings.Cut(l.name(), " ")
	if len(c.Subcommands) > 0 {
		return l.misuse("%s", strings.TrimSpace(name+" needs a command: one of "+strings.Join(commandNames(c), ", ")))
	}
	wanted := strings.Fields(c.ArgsUsage)
	for i, what := range wanted {
		if i >= len(l.args) && !strings.HasPrefix(what, "[") {
			return l.misuse("%s needs %s", name, strings.TrimSuffix(what, "..."))
		}
	}
	if len(l.args) > len(wanted) && !strings.HasSuffix(c.ArgsUsage, "...") { // which may be secrets: they are not repeated
		what := "no arguments"
		if len(wanted) > 0 {
			what = "only " + c.ArgsUsage
		}
		return l.misuse("%s takes %s, and %s given", name, what, were(len(l.args), "argument"))
	}
	if slices.Contains(l.args, "") {
		return l.misuse("an argument of %s is empty", name)
	}
	for _, g := range l.flags {
		if g.has && g.value == "" {
			return l.misuse("--%s is empty%s", g.name, l.eraser(g.name))
		}
	}
	for _, f := range c.Flags {
		if r, ok := f.(cli.RequiredFlag); ok && r.IsRequired() && !l.given(f.Names()[0]) {
			return l.misuse("%s needs --%s %s", name, f.Names()[0], placeholder(f))
		}
	}
	return l.checkValues()
}

// eraser says how a value is erased, if the command can do that.
func (l *line) eraser(flag string) string {
	if _, f := l.lookup("clear"); f != nil && slices.Contains(erasable, flag) {
		return ": to erase what is registered, give --clear " + flag
	}
	return ""
}

// argv returns the line with each flag right behind the command that defines
// it, and arguments where nothing takes them for flags.
func (l *line) argv() []string {
	var out []string
	for i, c := range l.path {
		out = append(out, c.Name)
		for _, g := range l.flags {
			if at, _ := l.lookup(g.name); at != i {
				continue
			}
			if g.has {
				out = append(out, "--"+g.name+"="+g.value)
			} else {
				out = append(out, "--"+g.name)
			}
		}
	}
	return append(append(out, "--"), l.args...)
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

func isList(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationSliceFlag)
	return ok && d.IsSliceFlag()
}
