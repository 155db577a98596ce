package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestTourInREADME pastes the README's tour into a shell, on ports that are
// free.
func TestTourInREADME(t *testing.T) {
	for _, program := range []string{"bash", "openssl"} {
		if ok, err := condition("need:" + program); !ok {
			if err != nil {
				t.Fatal(err)
			}
			t.Skipf("SKIPPED: %s is missing", program)
		}
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
