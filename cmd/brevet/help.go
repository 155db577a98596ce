package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// help returns the manual of the command at the end of path.
func help(path []*cli.Command) string {
	l := line{path: path}
	c := l.last()
	p := &page{}
	p.line("%s: %s", l.name(), c.Usage)
	p.line("\nUsage:\n  %s", synopsis(l.name(), c))
	p.line("\n%s", c.Description)
	if len(path) == 1 {
		helpByCategory(p, c)
		helpFlags(p, "Options, before or after the command", c.Flags)
		p.line("\nMore of a command: brevet COMMAND --help")
		return p.String()
	}
	if len(c.Subcommands) > 0 {
		helpCommands(p, "Commands", c.Subcommands)
		p.line("\nMore of a command: %s COMMAND --help", l.name())
	}
	helpFlags(p, "Options", c.Flags)
	p.line("\nGlobal options: %s (see brevet --help)", strings.Join(globalNames(path), ", "))
	return p.String()
}

// globalNames returns the global flags that mean the same for the command.
func globalNames(path []*cli.Command) []string {
	var names []string
	for _, f := range path[0].Flags {
		name := f.Names()[0]
		if _, shadow := (&line{path: path[1:]}).lookup(name); shadow == nil && (!slices.Contains([]string{"dir", "server", "identity", "context"}, name) || path[1].Name != "client") {
			names = append(names, "--"+name)
		}
	}
	return names
}

func synopsis(name string, c *cli.Command) string {
	words := []string{name}
	if len(c.Subcommands) > 0 {
		words = append(words, "COMMAND")
	}
	if c.ArgsUsage != "" {
		words = append(words, c.ArgsUsage)
	}
	optional := false
	for _, f := range c.Flags {
		if r, ok := f.(cli.RequiredFlag); ok && r.IsRequired() {
			words = append(words, "--"+f.Names()[0], placeholder(f))
		} else {
			optional = true
		}
	}
	if optional {
		words = append(words, "[options]")
	}
	return strings.Join(words, " ")
}

func helpByCategory(p *page, root *cli.Command) {
	for _, category := range categories {
		var some []*cli.Command
		for _, c := range root.Subcommands {
			if c.Category == category {
				some = append(some, c)
			}
		}
		helpCommands(p, category, some)
	}
}

func helpCommands(p *page, title string, commands []*cli.Command) {
	var t table
	for _, c := range commands {
		if !c.Hidden {
			t.row("  "+c.Name, c.Usage)
		}
	}
	if len(t.rows) > 0 {
		p.line("\n%s:", title)
		p.table(t)
	}
}

func helpFlags(p *page, title string, flags []cli.Flag) {
	if len(flags) == 0 {
		return
	}
	column := 0 // of what a flag means
	for _, f := range flags {
		column = max(column, min(2+width(flagForm(f))+gap, helpColumn))
	}
	p.line("\n%s:", title)
	for _, f := range flags {
		form := "  " + flagForm(f)
		if width(form)+gap > column {
			p.line("%s", form)
			form = ""
		}
		for _, text := range wrap(flagUsage(f), helpWidth-column) {
			p.line("%-*s%s", column, form, text)
			form = ""
		}
	}
}

// helpWidth is how wide the options in a manual are, and helpColumn where their meaning begins at
// the latest.
const helpWidth, helpColumn = 80, 30

// flagForm is how a flag is typed: "--quiet, -q" or "--scope S ...".
func flagForm(f cli.Flag) string {
	var forms []string
	for _, name := range f.Names() {
		forms = append(forms, strings.Repeat("-", min(len(name), 2))+name)
	}
	form := strings.Join(forms, ", ")
	if takesValue(f) {
		form += " " + placeholder(f)
	}
	if isList(f) {
		form += " ..."
	}
	return form
}

func flagUsage(f cli.Flag) string {
	d := f.(cli.DocGenerationFlag)
	usage := strings.ReplaceAll(d.GetUsage(), "`", "")
	if r, ok := f.(cli.RequiredFlag); ok && r.IsRequired() {
		usage += " (required)"
	}
	if text := d.GetDefaultText(); takesValue(f) && strings.Trim(text, `"`) != "" {
		usage += fmt.Sprintf(" (default %s)", strings.Trim(text, `"`))
	}
	if env := d.GetEnvVars(); len(env) > 0 {
		usage += fmt.Sprintf(" [$%s]", env[0])
	}
	return usage
}

// placeholder is the word for a flag's value: the one in backquotes.
func placeholder(f cli.Flag) string {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	_, after, _ := strings.Cut(d.GetUsage(), "`")
	word, _, _ := strings.Cut(after, "`")
	return word
}

// wrap breaks s into lines of at most n characters, where it can.
func wrap(s string, n int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(s) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) <= n:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
