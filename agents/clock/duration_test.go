package clock

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour,
		"1d12h": 36 * time.Hour, "0d": 0, "36600d": 36600 * 24 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "5", "-5m", "+5m", "-1d", "+1d", "1.5d", "1d-1h", "1d+1h", "12h1d", "1d1d", "99999d", "36600d1s", "1w", "5x", " 5m", "5m ", "1d 2h"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, got)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 90 * time.Second: "1m30s", time.Minute: "1m", time.Hour: "1h", time.Hour + time.Second: "1h1s", 90 * time.Minute: "1h30m", 10 * time.Hour: "10h",
		10*time.Minute + 10*time.Second: "10m10s", 10 * time.Second: "10s", 24 * time.Hour: "1d", 36 * time.Hour: "1d12h", 720 * time.Hour: "30d", -time.Minute: "-1m", 1500 * time.Millisecond: "1.5s",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		d := time.Duration(r.Int64N(int64(time.Duration(1) << r.IntN(60))))
		d = d.Truncate([]time.Duration{1, time.Second, time.Minute, time.Hour, day}[r.IntN(5)])
		text := FormatDuration(d)
		if got, err := ParseDuration(text); err != nil || got != d || strings.Contains(text, "m0s") || strings.Contains(text, "h0m") {
			t.Fatalf("%d is %s, which is %d, %v", d, text, got, err)
		}
	}
}
