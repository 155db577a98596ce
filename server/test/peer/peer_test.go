package peer_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestMissingProgram runs itself: without the program it is skipped, but in CI it fails.
func TestMissingProgram(t *testing.T) {
	const inner = "BREVET_PEER_TEST"
	if os.Getenv(inner) != "" {
		peer.Find(t, "no-such-program")
		t.Fatal("found")
	}
	for ci, want := range map[string]string{"": "--- SKIP", "true": "--- FAIL"} {
		c := exec.Command(os.Args[0], "-test.run=^TestMissingProgram$", "-test.v")
		c.Env = append(os.Environ(), inner+"=1", "CI="+ci)
		out, err := c.CombinedOutput()
		if (err == nil) != (ci == "") || !strings.Contains(string(out), want) || !strings.Contains(string(out), "no-such-program is missing") {
			t.Errorf("CI=%q: %v, %s; want %s", ci, err, out, want)
		}
	}
}
