package config

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
)

// readKeyMaxAge reads how old the keys of agents may get: one limit for all kinds, or one for
// each. By default keys do not age: few clients replace their keys by themselves, so a limit
// that nobody asked for would end agents at work.
func (f *File) readKeyMaxAge(n *yaml.Node) error {
	m := &f.KeyMaxAges
	if n.Kind == yaml.ScalarNode {
		var all time.Duration
		err := parsed(&all, parseKeyMaxAge)(n)
		*m = agents.KeyMaxAges{Registered: all, Lasting: all, ACME: all}
		return err
	}
	return readMap(n, map[string]func(*yaml.Node) error{
		"registered": parsed(&m.Registered, parseKeyMaxAge),
		"lasting":    parsed(&m.Lasting, parseKeyMaxAge),
		"acme":       parsed(&m.ACME, parseKeyMaxAge),
	})
}

// parseKeyMaxAge accepts a limit, or "never".
func parseKeyMaxAge(s string) (time.Duration, error) {
	if s == "never" {
		return 0, nil
	}
	d, err := clock.ParseDuration(s)
	if err != nil || d == 0 || agents.CheckKeyMaxAge(d) != nil {
		return 0, fmt.Errorf("key_max_age %q: want %s or more, such as 365d, or never", s, clock.FormatDuration(agents.MinKeyMaxAge))
	}
	return d, nil
}
