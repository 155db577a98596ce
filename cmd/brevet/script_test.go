package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/brevet-ca/brevet/server/servertest/script"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"brevet": main, "bench-reference": referenceMain})
}

// TestScripts plays the stories in testdata/script. Those of ACME clients by
// others are in server/test/interop.
func TestScripts(t *testing.T) { script.Run(t, "../../testdata/script") }
