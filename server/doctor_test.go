package server

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/brevet-ca/brevet/server/operator"
)

// TestChecksAreDocumented: docs/operations.md has a row for each check of the doctor, in the
// same order.
func TestChecksAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile(`(?s)\n## Look for weak identities\n.*?\n## `).Find(text)
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| [a-z -]+ \\| `([a-z0-9-]+)` \\|").FindAllSubmatch(section, -1) {
		documented = append(documented, string(m[1]))
	}
	if want := operator.CheckIDs(); !slices.Equal(documented, want) {
		t.Errorf("documented are\n%q, want\n%q", documented, want)
	}
}
