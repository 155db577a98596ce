package crash_test

import (
	"testing"

	"github.com/brevet-ca/brevet/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
