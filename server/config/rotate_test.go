package config

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage/keys"
)

// TestFileWithoutSchedules, as earlier versions wrote it, has keys rotate; roots never.
func TestFileWithoutSchedules(t *testing.T) {
	f, err := parse([]byte(leastFile))
	if err != nil {
		t.Fatal(err)
	}
	want := []keys.Purpose{keys.Audit, keys.HTTPSIssuer, keys.Issuer, keys.ProfileIssuer, keys.Tokens, keys.TokensPQ}
	if got := slices.Sorted(maps.Keys(f.Rotate)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for p, s := range f.Rotate {
		if s == (Schedule{}) {
			t.Errorf("%s never rotates", p)
		}
	}
}

// TestScheduleRefuses what would never come, come all the time, or come too late.
func TestScheduleRefuses(t *testing.T) {
	for _, bad := range []string{"issuer: 1/1", "issuer: 1/5", "issuer: 2/0", "issuer: -1/3", "issuer: 12h", "tokens: 2/3", "tokens: 23h", "audit: never", "root: 2/3", "issuer: 0.5"} {
		_, err := parse([]byte(leastFile + "rotate: {" + bad + "}\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "3:") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestDue is the earlier one of age and part.
func TestDue(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := begin.Add(90 * 24 * time.Hour)
	for _, c := range []struct {
		s    Schedule
		end  time.Time
		want int // days; 0 means never
	}{
		{Schedule{}, end, 0}, {Schedule{Part: twoThirds}, end, 60}, {Schedule{Part: Fraction{1, 2}}, end, 45},
		{Schedule{Part: twoThirds, Age: 20 * 24 * time.Hour}, end, 20}, {Schedule{Part: twoThirds, Age: 200 * 24 * time.Hour}, end, 60},
		{Schedule{Age: 30 * 24 * time.Hour}, time.Time{}, 30},
	} {
		got := c.s.Due(begin, c.end)
		if want := begin.Add(time.Duration(c.want) * 24 * time.Hour); c.want == 0 && !got.IsZero() || c.want > 0 && got.Sub(want).Abs() > time.Second {
			t.Errorf("%+v: %s", c.s, got)
		}
	}
}
