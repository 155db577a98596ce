// Package peer finds the programs and privileges that tests need and a machine may
// lack. It is the one place that decides between skipping a test and failing it.
package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Demanded reports whether a test fails if what it needs is missing: in CI.
func Demanded() bool { return os.Getenv("CI") == "true" }

// Find returns the path of a program that a test talks to.
func Find(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	for _, elsewhere := range daemons {
		if found, _ := filepath.Glob(filepath.Join(elsewhere, program)); err != nil && len(found) > 0 {
			return found[len(found)-1]
		}
	}
	if err != nil {
		Missing(t, program+" is missing: make peers installs it")
	}
	return path
}

// daemons are directories that are in no user's PATH.
var daemons = []string{"/usr/sbin", "/usr/lib/postgresql/*/bin"}

// Missing skips a test because of what is missing, or fails it if that is demanded.
func Missing(t testing.TB, why string) {
	t.Helper()
	if Demanded() {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: " + why)
}
