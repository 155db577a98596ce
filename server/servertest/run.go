package servertest

import (
	"os/exec"
	"strings"
	"testing"
)

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
