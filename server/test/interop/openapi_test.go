package interop_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestDescriptionIsOpenAPI has a validator of others read the description of the HTTP API.
func TestDescriptionIsOpenAPI(t *testing.T) {
	node := peer.Find(t, "node")
	if _, err := os.Stat(npmModules + "/node_modules/@apidevtools/swagger-parser"); err != nil {
		peer.Missing(t, "@apidevtools/swagger-parser is missing: run make peers")
	}
	if _, err := os.Stat("../../openapi.json"); err != nil { // for go test to know that its result depends on it
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), node, "testdata/openapi.mjs", npmModules, "../../openapi.json").CombinedOutput()
	if err != nil || string(out) != "valid\n" {
		t.Errorf("%v %s", err, out)
	}
}
