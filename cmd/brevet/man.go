package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
)

// manWord has this program write its manual for man(1) into a directory. make dist
// calls it. Nobody else needs it, so no help tells of it.
const manWord = "__man"

// writeManual writes a page for each command to dir.
func writeManual(dir string) error {
	pages := map[string]string{}
	manPages([]*cli.Command{tree()}, pages)
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// manPages adds the page of the command at the end of path, and those of the commands
// below it.
func manPages(path []*cli.Command, pages map[string]string) {
	name := manName(path)
	pages[name+".1"] = manPage(path, name)
	for _, sub := range path[len(path)-1].Subcommands {
		if !sub.Hidden {
			manPages(append(path[:len(path):len(path)], sub), pages)
		}
	}
}

// manName is the name of a command's page: brevet-agent-add.
func manName(path []*cli.Command) string {
	return strings.ReplaceAll((&line{path: path}).name(), " ", "-")
}

func manPage(path []*cli.Command, name string) string {
	l := line{path: path}
	c := l.last()
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" brevet \"brevet manual\"\n.nh\n.ad l\n", roff(strings.ToUpper(name)))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(c.Usage))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(synopsis(l.name(), c)))
	b.WriteString(".SH DESCRIPTION\n")
	manText(&b, c.Description)
	manCommands(&b, name, c)
	manFlags(&b, "OPTIONS", c.Flags)
	if len(path) > 1 {
		fmt.Fprintf(&b, ".SH GLOBAL OPTIONS\n%s\n", roff(strings.Join(globalNames(path), ", ")+": see brevet(1)."))
		fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", roff(manName(path[:len(path)-1])))
	}
	return b.String()
}

// manText writes a description: indented lines stay as they are, and examples have a
// section of their own.
func manText(b *strings.Builder, text string) {
	for _, paragraph := range strings.Split(text, "\n\n") {
		fixed := false
		b.WriteString(".PP\n")
		for row := range strings.Lines(paragraph) {
			row = strings.TrimRight(row, "\n")
			if indented := strings.HasPrefix(row, "  "); indented != fixed {
				b.WriteString(map[bool]string{true: ".RS 4\n.nf\n", false: ".fi\n.RE\n"}[indented])
				fixed = indented
			}
			if row == "Examples:" || row == "Example:" {
				b.WriteString(".SH EXAMPLES\n")
				continue
			}
			b.WriteString(roff(strings.TrimPrefix(row, "  ")) + "\n")
		}
		if fixed {
			b.WriteString(".fi\n.RE\n")
		}
	}
}

func manCommands(b *strings.Builder, name string, c *cli.Command) {
	if len(c.Subcommands) == 0 {
		return
	}
	b.WriteString(".SH COMMANDS\n")
	for _, sub := range c.Subcommands {
		if !sub.Hidden {
			fmt.Fprintf(b, ".TP\n.BR %s (1)\n%s\n", roff(name+"-"+sub.Name), roff(sub.Usage))
		}
	}
}

func manFlags(b *strings.Builder, title string, flags []cli.Flag) {
	if len(flags) > 0 {
		fmt.Fprintf(b, ".SH %s\n", title)
	}
	for _, f := range flags {
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(flagForm(f)), roff(flagUsage(f)))
	}
}

// roff writes a line that says s in troff, in whose ASCII some signs mean something.
func roff(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case i == 0 && (r == '.' || r == '\''):
			b.WriteString(`\&` + cmp.Or(roffSigns[r], string(r)))
		case roffSigns[r] != "":
			b.WriteString(roffSigns[r])
		case r > '~':
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

var roffSigns = map[rune]string{'\\': `\(rs`, '-': `\-`, '\'': `\(aq`, '`': `\(ga`, '^': `\(ha`, '~': `\(ti`, '"': `\(dq`}
