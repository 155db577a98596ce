package main

import (
	"testing"
	"time"
)

func TestInstant(t *testing.T) {
	now := time.Date(2026, 1, 31, 15, 4, 5, 0, time.UTC)
	midnight := time.Date(2026, 1, 2, 0, 0, 0, 0, time.Local)
	for _, c := range []struct {
		text      string
		direction time.Duration
		want      time.Time
	}{
		{"2026-01-02T03:04:05Z", ago, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		{"2026-01-02T03:04:05.5+02:00", ahead, time.Date(2026, 1, 2, 1, 4, 5, 5e8, time.UTC)},
		{"2026-01-02", ago, midnight},
		{"2h", ago, now.Add(-2 * time.Hour)},
		{"2h", ahead, now.Add(2 * time.Hour)},
		{"30d", ago, now.AddDate(0, 0, -30)},
		{"0s", ago, now},
	} {
		if got, err := instant(c.text, now, c.direction); err != nil || !got.Equal(c.want) {
			t.Errorf("%s: got %s, %v; want %s", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"", "yesterday", "2026-13-01", "2026-01-02 03:04:05", "2026-01-02T03:04:05", "-2h", "1700000000"} {
		if got, err := instant(text, now, ago); err == nil {
			t.Errorf("%q: got %s, want an error", text, got)
		}
	}
}

func TestDefaultDirectory(t *testing.T) {
	for _, c := range []struct {
		uid        int
		data, home string
		want       string // "" for an error
	}{
		{0, "/x", "/root", "/var/lib/brevet"},
		{1000, "/x", "/home/u", "/x/brevet"},
		{1000, "", "/home/u", "/home/u/.local/share/brevet"},
		{1000, "relative", "/home/u", "/home/u/.local/share/brevet"},
		{1000, "", "", ""},
	} {
		getenv := func(name string) string { return map[string]string{"XDG_DATA_HOME": c.data, "HOME": c.home}[name] }
		if got, err := defaultDirectory(c.uid, getenv); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: got %q, %v", c, got, err)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 400 * time.Millisecond: "0s", 42 * time.Second: "42s", 250 * time.Second: "4m10s", time.Hour: "1h",
		3*time.Hour + 20*time.Minute: "3h20m", 3*time.Hour + 20*time.Second: "3h", 49 * time.Hour: "2d1h", 59*time.Second + 600*time.Millisecond: "1m",
	} {
		if got := span(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"0 certificates": count(0, "certificate"), "1 certificate": count(1, "certificate"), "2 certificates": count(2, "certificate"),
		"1 entry": count(1, "entry"), "12 entries": count(int64(12), "entry"),
		"5 keys": count(5, "key"), "2 relying parties": count(2, "relying party"), "3 days": count(3, "day"), "1 argument was": were(1, "argument"), "0 names were": were(0, "name"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
