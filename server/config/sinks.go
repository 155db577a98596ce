package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/brevet-ca/brevet/server/sinks"
)

// readSinks reads where the events of the audit log go.
func (f *File) readSinks(n *yaml.Node) error {
	return eachItem(n, func(n *yaml.Node) error {
		c, err := readSink(n)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(f.Audit.Sinks, func(other sinks.Config) bool { return other.Name == c.Name }) {
			return at(n, fmt.Errorf("sink %q comes twice", c.Name))
		}
		f.Audit.Sinks = append(f.Audit.Sinks, c)
		return nil
	})
}

func readSink(n *yaml.Node) (c sinks.Config, err error) {
	word := func(into *string) func(*yaml.Node) error {
		return text(func(s string) error {
			if s == "" {
				return errors.New("the value is empty")
			}
			*into = s
			return nil
		})
	}
	target := func(k sinks.Kind) func(*yaml.Node) error {
		return text(func(s string) error {
			if c.Target != "" {
				return errors.New("a sink has one of syslog, file and webhook")
			}
			c.Kind, c.Target = k, s
			return nil
		})
	}
	err = readMap(n, map[string]func(*yaml.Node) error{
		"name":              word(&c.Name),
		"syslog":            target(sinks.Syslog),
		"file":              target(sinks.File),
		"webhook":           target(sinks.Webhook),
		"format":            parsed(&c.Format, sinks.ParseFormat),
		"start":             parsed(&c.Skip, parseStart),
		"ca":                word(&c.CA),
		"certificate":       word(&c.Certificate),
		"key":               word(&c.Key),
		"secret_file":       word(&c.Secret),
		"secret_credential": word(&c.Credential),
		"max_size":          parsed(&c.MaxSize, parseSize),
		"keep":              parsed(&c.Keep, parseKeep),
	})
	if err == nil {
		if err = c.Check(); err != nil {
			err = at(n, err)
		}
	}
	return c, err
}

// parseStart says whether a new sink passes over the events before it.
func parseStart(s string) (bool, error) {
	if s != "now" && s != "beginning" {
		return false, fmt.Errorf("start %q: want now or beginning", s)
	}
	return s == "now", nil
}

// parseSize accepts a number of kB, MB or GB.
func parseSize(s string) (int64, error) {
	for unit, octets := range map[string]int64{"kB": 1e3, "MB": 1e6, "GB": 1e9} {
		if digits, ok := strings.CutSuffix(s, unit); ok {
			if n, err := strconv.ParseInt(digits, 10, 32); err == nil && n > 0 {
				return n * octets, nil
			}
		}
	}
	return 0, fmt.Errorf("size %q: want a number of kB, MB or GB, such as 100MB", s)
}

func parseKeep(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1000 {
		return 0, fmt.Errorf("keep %q: want 1 to 1000", s)
	}
	return n, nil
}
