package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// setenvCmd sets a variable to what a file says, or to the value at a path in
// its JSON: "setenv NAME FILE [PATH]".
func setenvCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: setenv NAME FILE [PATH]")
	}
	text := ts.ReadFile(args[1])
	if len(args) == 3 {
		value, ok := valueAt(ts, text, args[2])
		if !ok {
			ts.Fatalf("nothing at %s in %s", args[2], text)
		}
		text = value
	}
	ts.Setenv(args[0], strings.TrimSpace(text))
}

// jsonCmd checks that standard output is one JSON document with something at a
// path, which all of a pattern matches: "[!] json PATH [REGEXP]".
func jsonCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 && len(args) != 2 {
		ts.Fatalf("usage: json PATH [REGEXP]")
	}
	doc := ts.ReadFile("stdout")
	value, ok := valueAt(ts, doc, args[0])
	if ok && len(args) == 2 {
		pattern, err := regexp.Compile("^(?:" + args[1] + ")$")
		ts.Check(err)
		ok = pattern.MatchString(value)
	}
	if ok == neg {
		ts.Fatalf("got %q at %s in\n%s", value, args[0], doc)
	}
}

// valueAt returns what stands at a path such as "crl.0.number" in a JSON
// document; "." is all of it. An object gives the names of its members, an array
// its elements, with spaces between; ".#" is how many there are.
func valueAt(ts *testscript.TestScript, doc, path string) (value string, ok bool) {
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	var v any
	ts.Check(d.Decode(&v))
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		ts.Fatalf("more than one JSON document:\n%s", doc)
	}
	for _, name := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' }) {
		switch in := v.(type) {
		case map[string]any:
			v, ok = in[name]
			if name == "#" {
				v, ok = len(in), true
			}
		case []any:
			i, err := strconv.Atoi(name)
			if ok = err == nil && 0 <= i && i < len(in); ok {
				v = in[i]
			} else if name == "#" {
				v, ok = len(in), true
			}
		default:
			ok = false
		}
		if !ok {
			return "", false
		}
	}
	return inWords(v), true
}

func inWords(v any) string {
	var words []string
	switch v := v.(type) {
	case map[string]any:
		words = slices.Sorted(maps.Keys(v))
	case []any:
		for _, element := range v {
			words = append(words, inWords(element))
		}
	default:
		return fmt.Sprint(v)
	}
	return strings.Join(words, " ")
}

// awaitCmd waits until a file is there and a pattern matches it: "await FILE
// [REGEXP]".
func awaitCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 && len(args) != 2 {
		ts.Fatalf("usage: await FILE [REGEXP]")
	}
	pattern := regexp.MustCompile("(?m)" + strings.Join(args[1:], ""))
	for range 1000 {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && pattern.Match(text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("no such thing in %s", args[0])
}

// portsCmd sets variables to TCP ports of loopback that are free: "ports
// NAME...".
func portsCmd(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		_, port, err := net.SplitHostPort(free(ts))
		ts.Check(err)
		ts.Setenv(name, port)
	}
}
