package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents"
)

// answer prints the answer to a command: doc as JSON, or the essential lines,
// or what text writes on the page, as the global flags say.
func answer(c *cli.Context, doc any, essential []string, text func(*page)) error {
	if asJSON(c) {
		return printJSON(c.App.Writer, doc)
	}
	p := newPage(c.App.Writer)
	p.wide = c.String("output") == "wide"
	if c.Bool("quiet") {
		for _, s := range essential {
			p.line("%s", s)
		}
	} else {
		text(p)
	}
	return p.flush(c.App.Writer)
}

func asJSON(c *cli.Context) bool { return c.Bool("json") || c.String("output") == "json" }

func printJSON(w io.Writer, doc any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

// A page is what a command prints for people.
type page struct {
	bytes.Buffer
	colour  bool
	columns int  // of the terminal; 0 without one
	wide    bool // nothing is shortened
	now     time.Time
}

func newPage(w io.Writer) *page {
	return &page{colour: colourful(w), columns: columns(w), now: time.Now()}
}

func (p *page) flush(w io.Writer) error {
	_, err := p.WriteTo(w)
	return err
}

// colourful reports whether w is a terminal that shows colours
// (https://no-color.org).
func colourful(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	faint  = "2"
)

// stateStyle is the colour of an agent or a credential in a state.
func stateStyle(state string) string {
	return map[string]string{"revoked": red, "decommissioned": red, "suspended": yellow, "expired": faint, "retired": faint}[state]
}

// table prints t, each row in its colour. On a terminal, the last column goes on in further
// lines where it does not fit, unless everything is wanted.
func (p *page) table(t table) {
	if p.columns > 0 && !p.wide {
		t = t.wrapped(p.columns)
	}
	for i, text := range t.lines(t.widths(0)) {
		p.line("%s", p.in(t.styles[i], text))
	}
}

// in returns s in a colour, where there are colours.
func (p *page) in(style, s string) string {
	if !p.colour || style == "" {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}

// printable keeps what others wrote from moving the cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// list makes no list an empty one, which is what JSON should show.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// tableOr prints a list. If it has no rows, it prints why. On a terminal, a list fits the
// width, unless everything is wanted.
func (p *page) tableOr(none string, t table) {
	if len(t.rows) == 1 {
		p.line("%s", none)
		return
	}
	limit := p.columns
	if p.wide {
		limit = 0
	}
	for i, text := range t.lines(t.widths(limit)) {
		p.line("%s", p.in(t.styles[i], text))
	}
}

// ids returns identifiers of credentials as lists show them: short, unless everything is
// wanted.
func (p *page) ids(whole []string) []string {
	if p.wide {
		return whole
	}
	return agents.ShortIDs(whole)
}
