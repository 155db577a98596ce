package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Schedule says when the server rotates the keys of a purpose by itself. The zero
// Schedule means never.
type Schedule struct {
	Part Fraction      // of the lifetime of a CA's certificate, at the latest; zero for keys that have none
	Age  time.Duration // of the key; 0 means that its age alone is no reason
}

// A Fraction is Of/In.
type Fraction struct{ Of, In uint8 }

// twoThirds leaves a third of an issuer's lifetime to find out why a rotation fails, or to
// carry a request to a root that is kept elsewhere.
var twoThirds = Fraction{2, 3}

// defaultSchedules returns the schedules that hold unless brevet.yaml has others. Roots are
// not rotated without an operator: all that trust them must be told.
func defaultSchedules() map[keys.Purpose]Schedule {
	const day = 24 * time.Hour
	return map[keys.Purpose]Schedule{
		keys.Issuer: {Part: twoThirds}, keys.ProfileIssuer: {Part: twoThirds}, keys.HTTPSIssuer: {Part: twoThirds},
		keys.Tokens: {Age: 30 * day}, keys.TokensPQ: {Age: 30 * day}, keys.Audit: {Age: 365 * day},
	}
}

// readRotate reads when the server rotates which keys.
func (f *File) readRotate(n *yaml.Node) error {
	readers := map[string]func(*yaml.Node) error{}
	for p, s := range f.Rotate {
		readers[string(p)] = text(func(value string) (err error) {
			f.Rotate[p], err = parseSchedule(string(p), value, s.Part.In > 0)
			return err
		})
	}
	return readMap(n, readers)
}

// parseSchedule reads "off", an age such as 30d or, if the key has a certificate, a part of
// its lifetime such as 2/3.
func parseSchedule(purpose, s string, certified bool) (Schedule, error) {
	if s == "off" {
		return Schedule{}, nil
	}
	if part, ok := parsePart(s); ok && certified {
		return Schedule{Part: part}, nil
	}
	if d, err := clock.ParseDuration(s); err == nil && d >= 24*time.Hour {
		if certified {
			return Schedule{Part: twoThirds, Age: d}, nil
		}
		return Schedule{Age: d}, nil
	}
	if certified {
		return Schedule{}, fmt.Errorf("%s %q: want a part of the certificate's lifetime from 1/4 to 9/10, such as 2/3, an age of 1d or more, or off", purpose, s)
	}
	return Schedule{}, fmt.Errorf("%s %q: want an age of 1d or more, such as 30d, or off", purpose, s)
}

// parsePart accepts what leaves time before the end, and what does not rotate all the time.
func parsePart(s string) (part Fraction, ok bool) {
	of, in, ok := strings.Cut(s, "/")
	n, err := strconv.ParseUint(of, 10, 8)
	m, err2 := strconv.ParseUint(in, 10, 8)
	return Fraction{uint8(n), uint8(m)}, ok && err == nil && err2 == nil && m > 0 && n*4 >= m && n*10 <= m*9
}

// String returns the schedule as brevet.yaml has it.
func (s Schedule) String() string {
	switch {
	case s.Age > 0:
		return clock.FormatDuration(s.Age)
	case s.Part.In > 0:
		return fmt.Sprintf("%d/%d", s.Part.Of, s.Part.In)
	}
	return "off"
}

// Due returns when a key is rotated that has signed since begin, and whose certificate ends
// at end, if it has one. It is the zero time if that is never.
func (s Schedule) Due(begin, end time.Time) (due time.Time) {
	if s.Part.In > 0 && !end.IsZero() {
		due = begin.Add(end.Sub(begin) / time.Duration(s.Part.In) * time.Duration(s.Part.Of))
	}
	if byAge := begin.Add(s.Age); s.Age > 0 && (due.IsZero() || byAge.Before(due)) {
		due = byAge
	}
	return due
}
