package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// instead says what to give in place of flags that do not exist on purpose:
// every process of a machine can read the arguments of the others.
var instead = map[string]struct{ flag, why string }{
	"token":      {"token-file", "a token on the command line could be read by others on this machine: give --token-file FILE, or - for standard input, or BREVET_ENROLLMENT_TOKEN"},
	"passphrase": {"passphrase-file", "a passphrase on the command line could be read by others on this machine: give --passphrase-file FILE, or fd:N"},
}

func (l *line) unknownFlag(name string) error {
	if other, ok := instead[name]; ok {
		if _, f := l.lookup(other.flag); f != nil && l.last().Name != "run" { // whose token file is one that it writes
			return l.misuse("there is no --%s: %s", name, other.why)
		}
	}
	var names []string
	for _, c := range l.path {
		for _, f := range c.Flags {
			names = append(names, f.Names()...)
		}
	}
	guess := ""
	if near := nearest(name, append(names, "help")); near != "" {
		guess = fmt.Sprintf("; did you mean %q?", "--"+near)
	}
	return l.misuse("unknown flag %q for %s%s", "--"+name, l.name(), guess)
}

func (l *line) unknownCommand(word string) error {
	names := append(commandNames(l.last()), "help")
	near := synonym(word, names)
	if near == "" {
		near = nearest(word, names)
	}
	guess := strconv.Quote(near)
	if near == "" {
		near = nearestBelow(word, l.last())
		guess = near
	}
	text := fmt.Sprintf("unknown command %q", word)
	if len(l.path) > 1 {
		text += " for " + l.name()
	}
	if near != "" {
		text += fmt.Sprintf("; did you mean %s?", guess)
	}
	return l.misuse("%s", text)
}

// nearestBelow finds the command with that name a level further down, or the two of them:
// "brevet decommission" means "brevet agent decommission".
func nearestBelow(word string, c *cli.Command) string {
	var found []string
	for _, sub := range c.Subcommands {
		if find(sub, word) == nil {
			continue
		}
		found = append(found, strconv.Quote(sub.Name+" "+word))
	}
	if len(found) > 2 {
		return ""
	}
	return strings.Join(found, " or ")
}

func commandNames(c *cli.Command) []string {
	var names []string
	for _, sub := range c.Subcommands {
		if !sub.Hidden {
			names = append(names, sub.Name)
		}
	}
	return names
}

// nearest returns the name that word was likely meant to be, or "". No word is near a
// name of one letter: each other letter would be.
func nearest(word string, names []string) string {
	best, found := 1+len(word)/4, ""
	for _, name := range names {
		if len(name) == 1 {
			continue
		}
		if d := distance(word, name); d <= best {
			best, found = d-1, name // the first of several that are as near
		}
	}
	return found
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that make b of a (optimal string alignment).
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			d[i][j] = min(change, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
