// Package install_test tries what an operator installs: the units of systemd, the
// manual, the packages and the image.
package install_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// root is the top of the repository.
const root = "../../.."

// output runs a program and returns what it prints. The test fails if the program does.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
