package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// once are the commands that twice.txtar does not give twice: those that change nothing in an
// authority, those that another story gives twice, and those whose second time is refused.
var once = strings.Fields(`
	status doctor verify version agent-list agent-show operator-list operator-show cert-list cert-show
	token-list token-introspect crl-show inspect pqc-verify-cert pqc-verify-crl pqc-verify-csr
	pqc-verify-jws role-list role-show audit-list audit-tail audit-verify audit-prove audit-check audit-export key-list
	policy-list policy-show policy-check policy-schema policy-test policy-replay policy-explain
	key-public context-list client-show completion dev serve

	client-cert client-token client-crl client-run client-bootstrap key-install key-seal

	init backup agent-add client-enroll operator-add operator-login operator-token role-add`)

// TestTwice: the story twice.txtar gives every command twice, except for those above.
func TestTwice(t *testing.T) {
	story, err := os.ReadFile("../../testdata/script/twice.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var walk func([]string, *cli.Command)
	walk = func(path []string, c *cli.Command) {
		for _, sub := range c.Subcommands {
			walk(append(slices.Clip(path), sub.Name), sub)
		}
		if len(c.Subcommands) > 0 {
			return
		}
		twice := strings.Contains(string(story), "\nexec sh twice brevet "+strings.Join(path, " ")+" ") || strings.Contains(string(story), "\nexec sh twice brevet "+strings.Join(path, " ")+"\n")
		if listed := slices.Contains(once, strings.Join(path, "-")); twice == listed {
			t.Errorf("brevet %s: in twice.txtar %t, in the list of others %t", strings.Join(path, " "), twice, listed)
		}
	}
	walk(nil, tree())
}
