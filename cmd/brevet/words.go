package main

import (
	"fmt"
	"strings"
	"time"
)

// at returns t as people read it, or "" for none.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.RFC3339)
}

// end returns t and how far it is off.
func (p *page) end(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if t.Before(p.now) {
		return fmt.Sprintf("%s (%s ago)", at(t), span(p.now.Sub(t)))
	}
	return fmt.Sprintf("%s (in %s)", at(t), span(t.Sub(p.now)))
}

// span returns d in its two largest units: 4m10s, 3h20m, 89d4h.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.size {
			continue
		}
		text := fmt.Sprintf("%d%s", d/u.size, u.name)
		if i+1 < len(units) && d%u.size >= units[i+1].size {
			text += fmt.Sprintf("%d%s", d%u.size/units[i+1].size, units[i+1].name)
		}
		return text
	}
	return "0s"
}

// count returns a number and its noun: "1 certificate", "2 access tokens".
func count[N int | int64](n N, noun string) string {
	if n != 1 {
		noun = plural(noun)
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// plural returns the plural of an English noun: certificates, entries, keys.
func plural(noun string) string {
	stem, y := strings.CutSuffix(noun, "y")
	if y && stem != "" && !strings.ContainsAny(stem[len(stem)-1:], "aeiou") {
		return stem + "ies"
	}
	return noun + "s"
}

// were returns a count and the verb that goes with it: "1 argument was".
func were(n int, noun string) string {
	return count(n, noun) + map[bool]string{true: " was", false: " were"}[n == 1]
}

// size returns a number of bytes.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f kB", float64(n)/1e3)
}
