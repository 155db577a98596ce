// Package peer finds the programs and privileges that tests need and a machine may
// lack. It is the one place that decides between skipping a test and failing it.
package peer

import (
	"os"
	"os/exec"
	"testing"
)

// Demanded reports whether a test fails if what it needs is missing: in CI.
func Demanded() bool { return os.Getenv("CI") == "true" }

// Find returns the path of a program that a test talks to.
func Find(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		Missing(t, program+" is missing: make peers installs it")
	}
	return path
}

// Missing skips a test because of what is missing, or fails it if that is demanded.
func Missing(t testing.TB, why string) {
	t.Helper()
	if Demanded() {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: " + why)
}
