package main

import (
	"os"
	"strings"
	"testing"
)

// TestArchitectureNamesEveryPackage holds docs/architecture.md to the layers.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tree, _ := strings.Cut(string(text), "## The tree")
	tree, _, _ = strings.Cut(tree, "\n## ")
	for pkg := range layers {
		name := pkg
		if strings.HasPrefix(pkg, "server/test/") {
			name = "server/test/…"
		}
		if !strings.Contains(tree, "`"+name+"`") {
			t.Errorf("docs/architecture.md does not say what %s does", pkg)
		}
	}
}
