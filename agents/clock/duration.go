package clock

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// ParseDuration reads a duration as operators write it: as Go does, and with days before:
// 90s, 5m, 12h, 30d, 1d12h. It has no sign.
func ParseDuration(s string) (time.Duration, error) {
	wrong := fmt.Errorf("invalid duration %.80q: use 90s, 5m, 12h or 30d", s)
	rest, total := s, time.Duration(0)
	if days, after, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil || n > 100*366 {
			return 0, wrong
		}
		rest, total = after, time.Duration(n)*day
		if rest == "" {
			return total, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || strings.HasPrefix(rest, "+") || d > 100*366*day-total {
		return 0, wrong
	}
	return total + d, nil
}

// FormatDuration returns a duration as operators write it: 1m, 1h30m, 30d. Package time
// writes 1m0s, 1h30m0s and 720h0m0s.
func FormatDuration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + FormatDuration(-d)
	case d >= day && d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d >= day:
		return fmt.Sprintf("%dd%s", d/day, FormatDuration(d%day))
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return strings.Replace(s, "h0m", "h", 1)
}
