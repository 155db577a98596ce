package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestTourInREADME pastes the README's tour into a shell, on ports that are
// free.
func TestTourInREADME(t *testing.T) {
	for _, program := range []string{"bash", "openssl"} {
		peer.Find(t, program)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tour, found := strings.Cut(string(readme), "<!-- tour: a test runs this -->\n```sh\n")
	tour, _, closed := strings.Cut(tour, "```")
	if !found || !closed {
		t.Fatal("README.md has no tour")
	}
	https, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	http, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	script := strings.NewReplacer(
		"make build\n", "", `export PATH="$PWD/bin:$PATH"`, "",
		"--no-passphrase", "--no-passphrase --listen "+https+" --listen-http "+http,
		"127.0.0.1:8443", https,
	).Replace(tour)
	cmd := exec.Command("bash", "-eu", "-o", "pipefail", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR=/tmp")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the tour ends with %v:\n%s", err, out)
	}
	for _, want := range []string{
		"URI:spiffe://example.internal/agent/invoice-reader", `"active": true`, `"active": false`, "privilegeWithdrawn",
		"refused, as it should be", "agent.suspend",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the tour does not show %q:\n%s", want, out)
		}
	}
}

// TestConfigurationInDocs: what the pages show of brevet.yaml is one.
func TestConfigurationInDocs(t *testing.T) {
	least := "trust_domain: example.internal\nadvertise: https://127.0.0.1:8443\n"
	for file, mark := range map[string]struct{ before, begin, end string }{
		"../../docs/configuration.md": {"", "\n```yaml\n", "```"},
		"../../pqc/README.md":         {least, "# then, in brevet.yaml, and brevet serve again:\n", "\n\n"},
		"key.go":                      {least, "\n\n  ", "\n\n"},
	} {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		shown := strings.Split(string(page), mark.begin)[1:]
		if len(shown) == 0 {
			t.Errorf("%s shows nothing of brevet.yaml", file)
		}
		for _, text := range shown {
			text, _, _ := strings.Cut(text, mark.end)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, config.Name), []byte(mark.before+dedent(text)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Read(dir); err != nil {
				t.Errorf("%s: %v in\n%s", file, err, text)
			}
		}
	}
}

// dedent takes the indentation of a block in Markdown away.
func dedent(block string) string {
	indent := block[:len(block)-len(strings.TrimLeft(block, " "))]
	return strings.ReplaceAll(strings.TrimPrefix(block, indent), "\n"+indent, "\n")
}
