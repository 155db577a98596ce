package servertest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Peer finds a program that a test talks to. CI demands it.
func Peer(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		Missing(t, name+" is missing: make peers installs it")
	}
}

// Missing skips a test that lacks something. CI demands it.
func Missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: " + why)
}

// Run runs a program, whose success must be as expected, and returns what it
// printed.
func Run(t *testing.T, succeeds bool, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if (err == nil) != succeeds {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}
