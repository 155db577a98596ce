package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// A table is printed with its columns aligned.
type table struct {
	rows   [][]string
	styles []string // of the rows
}

func (t *table) row(cells ...string) { t.styled("", cells...) }

func (t *table) styled(style string, cells ...string) {
	for i, s := range cells {
		cells[i] = printable(s)
	}
	t.rows, t.styles = append(t.rows, cells), append(t.styles, style)
}

// pair adds what has a name, if there is something to say of it.
func (t *table) pair(name, value string) {
	if value != "" {
		t.row(name+":", value)
	}
}

// gap is how many columns are free between two cells.
const gap = 2

// lines returns the rows, aligned and without blanks at their ends.
func (t *table) lines(widths []int) []string {
	var all []string
	for _, cells := range t.rows {
		var b strings.Builder
		for i, s := range cells {
			s = shorten(s, widths[i])
			b.WriteString(s)
			if i+1 < len(cells) {
				b.WriteString(strings.Repeat(" ", widths[i]-width(s)+gap))
			}
		}
		all = append(all, strings.TrimRight(b.String(), " "))
	}
	return all
}

// widths returns how wide each column is: as wide as its widest cell. If that is more than
// limit in all, the widest columns become narrower. A limit of 0 means no limit.
func (t *table) widths(limit int) []int {
	var all []int
	for _, cells := range t.rows {
		for i, s := range cells {
			if i == len(all) {
				all = append(all, 0)
			}
			all[i] = max(all[i], width(s))
		}
	}
	const narrowest = 8
	for limit > 0 && sum(all)+gap*(len(all)-1) > limit {
		widest := 0
		for i, w := range all {
			if w > all[widest] {
				widest = i
			}
		}
		if all[widest] <= narrowest {
			break
		}
		all[widest]--
	}
	return all
}

// wrapped returns t with the last column of each row broken into lines that fit a limit, as
// far as words allow. A last column that would be very narrow stays as it is.
func (t *table) wrapped(limit int) table {
	const narrowest = 24
	widths := t.widths(0)
	last := len(widths) - 1
	room := limit - gap*last
	for _, w := range widths[:max(last, 0)] {
		room -= w
	}
	if last < 1 || room < narrowest {
		return *t
	}
	var out table
	for i, cells := range t.rows {
		if len(cells) <= last || width(cells[last]) <= room {
			out.rows, out.styles = append(out.rows, cells), append(out.styles, t.styles[i])
			continue
		}
		for n, text := range wrap(cells[last], room) {
			row := append(slices.Clone(cells[:last]), text)
			if n > 0 {
				row = append(make([]string, last), text)
			}
			out.rows, out.styles = append(out.rows, row), append(out.styles, t.styles[i])
		}
	}
	return out
}

func sum(all []int) (n int) {
	for _, w := range all {
		n += w
	}
	return n
}

// shorten returns s in at most n columns, with a … where something is left out.
func shorten(s string, n int) string {
	if width(s) <= n {
		return s
	}
	used := 0
	for i, r := range s {
		if used += runeWidth(r); used > n-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// width returns how many columns of a terminal s takes.
func width(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// wide are the characters that take two columns (Unicode Standard Annex 11: W and F).
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x1100, 0x115f, 1}, {0x2e80, 0x303e, 1}, {0x3041, 0x33ff, 1}, {0x3400, 0x4dbf, 1}, {0x4e00, 0x9fff, 1}, {0xa000, 0xa4cf, 1},
		{0xa960, 0xa97c, 1}, {0xac00, 0xd7a3, 1}, {0xf900, 0xfaff, 1}, {0xfe30, 0xfe6f, 1}, {0xff00, 0xff60, 1}, {0xffe0, 0xffe6, 1},
	},
	R32: []unicode.Range32{
		{0x16fe0, 0x18aff, 1}, {0x1b000, 0x1b2ff, 1}, {0x1f300, 0x1f64f, 1}, {0x1f680, 0x1f6ff, 1}, {0x1f900, 0x1f9ff, 1}, {0x20000, 0x3fffd, 1},
	},
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// columns returns the width of the terminal w. It returns 0 if w is not a terminal, because
// nothing is shortened that another program reads.
func columns(w any) int {
	size, ok := terminal(w)
	if !ok {
		return 0
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return int(size.Col)
}

// terminal returns the size of w, and whether w is a terminal at all.
func terminal(w any) (*unix.Winsize, bool) {
	f, ok := w.(*os.File)
	if !ok {
		return nil, false
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return size, err == nil
}
