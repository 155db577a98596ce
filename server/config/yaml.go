package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readDocument returns the only document of a text.
func readDocument(text []byte) (*yaml.Node, error) {
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	err := d.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("1:1: the file is empty")
	}
	if err == nil {
		if err = d.Decode(&more); errors.Is(err, io.EOF) {
			return doc.Content[0], nil
		}
	}
	if err != nil {
		return nil, syntaxError(err)
	}
	return nil, at(&more, errors.New("more than one document"))
}

// syntaxError gives the errors of package yaml a place. They name a line at most.
func syntaxError(err error) error {
	p := placed{1, 1, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))}
	if found := lineForm.FindStringSubmatch(p.err.Error()); found != nil {
		p.line, _ = strconv.Atoi(found[1])
		p.err = errors.New(found[2])
	}
	return p
}

var lineForm = regexp.MustCompile(`^line ([0-9]+): (.*)$`)

// readMap gives each value of a mapping to the reader of its key.
func readMap(n *yaml.Node, readers map[string]func(*yaml.Node) error) error {
	return eachPair(n, func(key string, value *yaml.Node) error {
		read, known := readers[key]
		if !known {
			return fmt.Errorf("unknown key %q: want one of %s", key, strings.Join(slices.Sorted(maps.Keys(readers)), ", "))
		}
		return read(value)
	})
}

// text returns the reader of a key whose value is one word or string.
func text(read func(string) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode {
			return at(n, errors.New("want one value here"))
		}
		return read(n.Value)
	}
}

// parsed is text for a value with a parser.
func parsed[T any](into *T, parse func(string) (T, error)) func(*yaml.Node) error {
	return text(func(s string) (err error) {
		*into, err = parse(s)
		return err
	})
}

// eachPair calls f for each key of a mapping and its value.
func eachPair(n *yaml.Node, f func(key string, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return at(n, errors.New("want keys and values here"))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if seen[key] {
			return at(n.Content[i], fmt.Errorf("key %q comes twice", key))
		}
		seen[key] = true
		if err := f(key, n.Content[i+1]); err != nil {
			return at(n.Content[i], err)
		}
	}
	return nil
}

// eachItem calls read for each item of a list.
func eachItem(n *yaml.Node, read func(*yaml.Node) error) error {
	if n.Kind != yaml.SequenceNode {
		return at(n, errors.New("want a list here"))
	}
	for _, item := range n.Content {
		if err := read(item); err != nil {
			return at(item, err)
		}
	}
	return nil
}

// A placed error has its place in the file.
type placed struct {
	line, column int
	err          error
}

func (p placed) Error() string { return fmt.Sprintf("%d:%d: %v", p.line, p.column, p.err) }
func (p placed) Unwrap() error { return p.err }

// at says that err arose at n, unless err already names a closer place.
func at(n *yaml.Node, err error) error {
	if _, ok := err.(placed); ok {
		return err
	}
	return placed{n.Line, n.Column, err}
}
