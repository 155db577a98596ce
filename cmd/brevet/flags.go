package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents/clock"
)

// The kinds of flags. The word in backquotes is the placeholder for the value.
func text(name, usage string) cli.Flag { return &cli.StringFlag{Name: name, Usage: usage} }
func needed(name, usage string) cli.Flag {
	return &cli.StringFlag{Name: name, Usage: usage, Required: true}
}
func texts(name, usage string) cli.Flag { return &cli.StringSliceFlag{Name: name, Usage: usage} }
func yes(name, usage string) cli.Flag   { return &cli.BoolFlag{Name: name, Usage: usage} }

// outputFlag is for lists.
func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`wide|json`; without it, what is printed on a terminal fits its width, and … stands for what is cut"}
}
func preset(name, value, usage string) cli.Flag {
	return &cli.StringFlag{Name: name, Value: value, Usage: usage}
}

// reasonFlag is for what ends credentials, and says where the reason shows.
func reasonFlag(shows, otherwise string) cli.Flag {
	return text("reason", "`REASON` for the "+shows+": "+strings.Join(reasons, ", ")+"; else "+otherwise)
}

// reasons are those of RFC 5280, section 5.3.1 that fit agents.
var reasons = []string{"keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation", "privilegeWithdrawn", "unspecified"}

func defaultDirectory(uid int, getenv func(string) string) (string, error) {
	if uid == 0 {
		return "/var/lib/brevet", nil
	}
	if data := getenv("XDG_DATA_HOME"); filepath.IsAbs(data) { // others are to be ignored, says the XDG specification
		return filepath.Join(data, "brevet"), nil
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".local/share/brevet"), nil
	}
	return "", errors.New("neither XDG_DATA_HOME nor HOME is set: name the directory of the authority with --dir")
}

// instant reads a point in time: in RFC 3339, or a date, which means its
// beginning here, or a duration from now in the direction given.
func instant(s string, now time.Time, direction time.Duration) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
		return t, nil
	}
	d, err := clock.ParseDuration(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("invalid time %q: use 2026-01-31T15:04:05Z, 2026-01-31, 2h or 30d", s)
	}
	return now.Add(direction * d), nil
}

// The directions of a duration in an instant.
const (
	ago   = time.Duration(-1)
	ahead = time.Duration(1)
)

// durationOf returns the value of a flag, 0 if it is not given.
func durationOf(c *cli.Context, flag string) (time.Duration, error) {
	if !c.IsSet(flag) {
		return 0, nil
	}
	d, err := clock.ParseDuration(c.String(flag))
	if err != nil {
		return 0, misuse(c, "--%s: %v", flag, err)
	}
	return d, nil
}

// instantOf returns the value of a flag, the zero time if it is not given.
func instantOf(c *cli.Context, flag string, direction time.Duration) (time.Time, error) {
	if !c.IsSet(flag) {
		return time.Time{}, nil
	}
	t, err := instant(c.String(flag), time.Now(), direction)
	if err != nil {
		return t, misuse(c, "--%s: %v", flag, err)
	}
	return t, nil
}

// descriptor accepts the name of a file, or fd:N.
func descriptor(s string) error {
	if n, ok := strings.CutPrefix(s, "fd:"); ok {
		if _, err := strconv.ParseUint(n, 10, 16); err != nil {
			return fmt.Errorf("invalid value %.80q: want fd: and the number of an open file descriptor, such as fd:3", s)
		}
	}
	return nil
}
