package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readMap gives each value of a mapping to the reader of its key.
func readMap(n *yaml.Node, readers map[string]func(*yaml.Node) error) error {
	seen := map[string]bool{}
	return eachPair(n, func(key string, value *yaml.Node) error {
		read, known := readers[key]
		if !known {
			return fmt.Errorf("unknown key %q: want one of %s", key, strings.Join(slices.Sorted(maps.Keys(readers)), ", "))
		}
		if seen[key] {
			return fmt.Errorf("key %q comes twice", key)
		}
		seen[key] = true
		return read(value)
	})
}

// eachPair calls f for each key of a mapping and its value.
func eachPair(n *yaml.Node, f func(key string, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return at(n, fmt.Errorf("want keys and values here"))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if err := f(n.Content[i].Value, n.Content[i+1]); err != nil {
			return at(n.Content[i], err)
		}
	}
	return nil
}

// A placed error says where in the file it arose.
type placed struct {
	line, column int
	err          error
}

func (p placed) Error() string { return fmt.Sprintf("%d:%d: %v", p.line, p.column, p.err) }
func (p placed) Unwrap() error { return p.err }

// at places err at n, unless it was placed more closely before.
func at(n *yaml.Node, err error) error {
	if _, ok := err.(placed); ok {
		return err
	}
	return placed{n.Line, n.Column, err}
}
