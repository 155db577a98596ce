package main

import (
	"slices"
	"strings"
	"testing"
)

func TestFlagsAreFoundAnywhere(t *testing.T) {
	for typed, want := range map[string]string{
		"status":                              "brevet status --",
		"status --json":                       "brevet --json status --",
		"--json status":                       "brevet --json status --",
		"agent -q list":                       "brevet --quiet agent list --",
		"agent add bot --owner me":            "brevet agent add --owner=me -- bot",
		"agent add --owner me bot":            "brevet agent add --owner=me -- bot",
		"agent add --owner=me --json bot":     "brevet --json agent add --owner=me -- bot",
		"agent --dir d add bot -owner me":     "brevet --dir=d agent add --owner=me -- bot",
		"agent add bot --owner me --dir d":    "brevet --dir=d agent add --owner=me -- bot",
		"agent set b --scope x --scope y":     "brevet agent set --scope=x --scope=y -- b",
		"agent set b --owner -x":              "brevet agent set --owner=-x -- b",
		"agent set b --label a=b=c":           "brevet agent set --label=a=b=c -- b",
		"token introspect -":                  "brevet token introspect -- -",
		"token introspect -- --json":          "brevet token introspect -- --json",
		"cert issue --csr - bot":              "brevet cert issue --csr=- -- bot",
		"revoke --dry-run=false --agent b":    "brevet revoke --dry-run=false --agent=b --",
		"client cert --dir d":                 "brevet client cert --dir=d --",
		"--dir d client cert":                 "brevet client cert --dir=d --",
		"client --quiet --dir d cert -v":      "brevet --quiet --verbose client cert --dir=d --",
		"--version":                           "brevet version --",
		"crl show":                            "brevet crl show --",
		"crl show 0a":                         "brevet crl show -- 0a",
		"agent show list":                     "brevet agent show -- list",
		"agent list --state suspended --json": "brevet --json agent list --state=suspended --",
	} {
		l, err := parse(tree(), strings.Fields(typed))
		if err == nil {
			err = l.check()
		}
		if got := strings.Join(l.argv(), " "); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", typed, got, err, want)
		}
	}
}

func TestHelpIsFoundAnywhere(t *testing.T) {
	for typed, want := range map[string]string{
		"--help":                     "brevet",
		"help":                       "brevet",
		"-h agent add":               "brevet agent add",
		"agent --help add":           "brevet agent add",
		"agent add bot --help":       "brevet agent add",
		"help agent add":             "brevet agent add",
		"agent help add":             "brevet agent add",
		"agent add -help --owner me": "brevet agent add",
	} {
		l, err := parse(tree(), strings.Fields(typed))
		if err != nil || !l.help || l.name() != want {
			t.Errorf("%s: got help %v of %s, %v; want that of %s", typed, l.help, l.name(), err, want)
		}
	}
	if l, err := parse(tree(), []string{"agent", "show", "help"}); err != nil || l.help || !slices.Equal(l.args, []string{"help"}) {
		t.Errorf("an agent called help: got help %v, arguments %q, %v", l.help, l.args, err)
	}
}

// FuzzParse has each line that was understood be understood again, in the order
// that argv gives it.
func FuzzParse(f *testing.F) {
	f.Add("agent add bot --owner me --scope a --json")
	f.Add("--dir d client cert -q -- -x")
	f.Add("revoke --agent=a --dry-run")
	root := tree()
	f.Fuzz(func(t *testing.T, typed string) {
		l, err := parse(root, strings.Split(typed, " "))
		if err != nil || l.help {
			return
		}
		want := l.argv()
		again, err := parse(root, want[1:])
		if got := again.argv(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %q, which is %q, %v", typed, want, got, err)
		}
	})
}
