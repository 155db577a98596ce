package main

import (
	"slices"
	"strings"
	"testing"
)

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "é": 1, "e\u0301": 1, "日本": 4, "한글": 4, "ｆ": 2, "…": 1, "🔑": 2} {
		if got := width(s); got != want {
			t.Errorf("%q: got %d, want %d", s, got, want)
		}
	}
}

func TestTableFits(t *testing.T) {
	var all table
	all.row("NAME", "OWNER", "SCOPES")
	all.row("bot", "支払い", strings.Repeat("orders:read ", 40))
	for _, limit := range []int{0, 200, 80, 40} {
		lines := all.lines(all.widths(limit))
		for _, l := range lines {
			if limit > 0 && width(l) > limit {
				t.Errorf("limit %d: a line has %d columns: %s", limit, width(l), l)
			}
		}
		if short := strings.HasSuffix(lines[1], "…"); short != (limit > 0) {
			t.Errorf("limit %d: got %q", limit, lines[1])
		}
		if a, b := strings.Index(lines[0], "SCOPES"), strings.Index(lines[1], "orders"); width(lines[0][:a]) != width(lines[1][:b]) {
			t.Errorf("limit %d: the columns are not aligned:\n%s", limit, strings.Join(lines, "\n"))
		}
	}
	if got := all.widths(10); slices.Max(got) > 8 {
		t.Errorf("got %v", got)
	}
}
