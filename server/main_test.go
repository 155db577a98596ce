package server_test

import (
	"fmt"
	"os"
	"testing"
)

// children are what the test binary does when a test runs it as another
// process, for a directory.
var children = map[string]func(dir string) error{
	"serve": serveUntilKilled,
}

func TestMain(m *testing.M) {
	if child := children[os.Getenv("SERVER_TEST_CHILD")]; child != nil {
		if err := child(os.Getenv("SERVER_TEST_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
