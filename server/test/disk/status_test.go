//go:build linux

package disk_test

import (
	"slices"
	"testing"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestStatusTellsOfAFullTmpfs as soon as another file has filled it, while the store still
// has room of its own.
func TestStatusTellsOfAFullTmpfs(t *testing.T) {
	dir := smallDisk(t)
	w := servertest.New(t)
	low := func() bool {
		t.Helper()
		st, err := w.Admin.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(st.Reasons, func(r api.Reason) bool { return r.ID == "disk-low" && r.Level == api.Critical })
	}
	if low() {
		t.Error("an empty disk is said to be full")
	}
	f := fill(t, dir)
	if !low() {
		t.Error("status says nothing of a full disk")
	}
	f.stop()
	if low() {
		t.Error("status still says that the disk is full")
	}
}
