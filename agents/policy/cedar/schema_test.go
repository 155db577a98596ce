package cedar

import (
	"os"
	"strings"
	"testing"
)

// TestSchemaIsDocumented: docs/access.md has the schema. UPDATE=1 writes it there.
func TestSchemaIsDocumented(t *testing.T) {
	const page, fence = "../../../docs/access.md", "```\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	begin := strings.Index(string(text), fence+"// The schema of brevet's policies.")
	if begin < 0 {
		t.Fatalf("%s has no schema", page)
	}
	begin += len(fence)
	end := begin + strings.Index(string(text[begin:]), fence)
	if got := string(text[begin:end]); got != Schema() {
		if os.Getenv("UPDATE") == "" {
			t.Fatalf("%s has another schema: run UPDATE=1 go test -run TestSchemaIsDocumented ./agents/policy/cedar", page)
		}
		if err := os.WriteFile(page, []byte(string(text[:begin])+Schema()+string(text[end:])), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
