package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/test/peer"
)

// testName is the name of a test, benchmark or fuzz target as pages write it.
var testName = regexp.MustCompile("`((?:Test|Benchmark|Fuzz)[A-Z]\\w*)`")

// TestPromisesNameTheirTests reads SECURITY.md: each promise names a test that holds it,
// or more.
func TestPromisesNameTheirTests(t *testing.T) {
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, promises, _ := strings.Cut(string(text), "\n## What brevet promises\n")
	promises, _, _ = strings.Cut(promises, "\n## ")
	parts := strings.Split(promises, "\n### Against ")
	for i, against := range []string{"strangers", "agents", "operators", "thieves of the machine"} {
		if i+1 >= len(parts) || !strings.HasPrefix(parts[i+1], against) {
			t.Fatalf("part %d of %d has no promises against %s", i+1, len(parts)-1, against)
		}
		for _, promise := range strings.Split(parts[i+1], "\n- ")[1:] {
			if !testName.MatchString(promise) {
				t.Errorf("no test is named for this promise against %s: %s", against, promise)
			}
		}
	}
}

// TestNamedTestsExist: a test that any page names is there.
func TestNamedTestsExist(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "ls-files", "*.md").Output()
	if err != nil {
		peer.Missing(t, "git and the repository are missing: "+err.Error())
	}
	there := testsOfTheTree(t)
	for _, page := range strings.Fields(string(out)) {
		text, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testName.FindAllStringSubmatch(string(text), -1) {
			if !there[m[1]] {
				t.Errorf("%s names %s, which does not exist", page, m[1])
			}
		}
	}
}

// testsOfTheTree returns the names of all functions in files of tests.
func testsOfTheTree(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declared := range tree.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil {
				there[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}
