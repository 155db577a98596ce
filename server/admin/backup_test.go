package admin_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// TestBackupCountsWhenItHasArrived: the status knows of backups that were confirmed, and the
// log of all that were sent.
func TestBackupCountsWhenItHasArrived(t *testing.T) {
	w := newWorld(t)
	ctx, c := t.Context(), w.Admin
	counted := func() bool {
		st, err := c.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return !st.Backup.IsZero()
	}
	received, err := c.ReceiveBackup(ctx, io.Discard)
	if err != nil || counted() {
		t.Fatalf("a backup that was sent counts: %t, %v", counted(), err)
	}
	err = c.ConfirmBackup(ctx, api.BackupReceived{SHA256: "00"})
	if refused, ok := errors.AsType[*api.Error](err); !ok || refused.Status != http.StatusNotFound || counted() {
		t.Errorf("another backup: %v", err)
	}
	for range 2 { // the answer may be lost
		if err := c.ConfirmBackup(ctx, received); err != nil || !counted() {
			t.Errorf("confirmed: %t, %v", counted(), err)
		}
	}
}
