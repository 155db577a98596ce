package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents/persons"
)

func TestOperators(t *testing.T) {
	f, err := parse([]byte(leastFile + "operators:\n  1000: {name: alice, role: operator}\n  4294967294: {name: bob.b, role: viewer}\n  1001: {name: alice, role: operator}\n"))
	if want := map[uint32]Operator{1000: {"alice", persons.Operator}, 1001: {"alice", persons.Operator}, 4294967294: {"bob.b", persons.Viewer}}; err != nil || !reflect.DeepEqual(f.Operators, want) {
		t.Errorf("got %+v, %v", f, err)
	}
	for text, want := range map[string]string{
		"{0: {name: alice, role: admin}}":                                       "root is an admin already",
		"{01: {name: alice, role: admin}}":                                      "want a number",
		"{-1: {name: alice, role: admin}}":                                      "want a number",
		"{0x10: {name: alice, role: admin}}":                                    "want a number",
		"{4294967295: {name: alice, role: admin}}":                              "want a number",
		"{4294967296: {name: alice, role: admin}}":                              "want a number",
		"{alice: {name: alice, role: admin}}":                                   "want a number",
		"{1000: {name: alice}}":                                                 "needs a name and a role",
		"{1000: {role: viewer}}":                                                "needs a name and a role",
		"{1000: {name: Alice, role: viewer}}":                                   "only a-z and 0-9",
		"{1000: {name: alice, role: root}}":                                     "want one of viewer, operator, security, admin",
		"{1000: {name: alice, role: none}}":                                     "want one of viewer",
		"{1000: {name: alice, role: viewer, uid: 1}}":                           "unknown key",
		"{1000: {name: a, role: viewer}, 1000: {name: b, role: viewer}}":        "comes twice",
		"{1000: {name: alice, role: viewer}, 1001: {name: alice, role: admin}}": "has the role viewer in another place",
		"[{name: alice, role: viewer}]":                                         "want keys and values",
	} {
		if f, err := parse([]byte(leastFile + "operators: " + text + "\n")); err == nil || !strings.HasPrefix(err.Error(), "3:") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %+v, %v, want %q", text, f, err, want)
		}
	}
}
