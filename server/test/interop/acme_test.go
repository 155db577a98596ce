package interop_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/brevet-ca/brevet/server/servertest/script"
)

// TestACMEClients plays the stories of the ACME clients that everybody uses.
func TestACMEClients(t *testing.T) {
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "brevet"), "../../../cmd/brevet")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building brevet: %v\n%s", err, out)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	script.Run(t, "../../../testdata/script/acme")
}
