package server_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// addEvents adds events to the log of a stopped authority.
func addEvents(t *testing.T, w *servertest.World, n int) {
	t.Helper()
	db, err := bolt.Open(w.File("brevet.db"), bolt.Options{MustExist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i := 0; i < n; i += 1000 {
		err := db.Update(context.Background(), func(tx storage.Tx) error {
			for j := range min(1000, n-i) {
				_, err := audit.Append(tx, audit.Event{
					Time: time.Now(), Actor: "spiffe://example.internal/agent/bot", Action: audit.TokenMint, Subject: "bot", Decision: audit.Allow,
					Request: fmt.Sprintf("%016x", i+j), Credential: fmt.Sprintf("%040x", i+j), Reasons: []string{"client certificate " + strings.Repeat("0", 40)},
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// eventually waits until f reports true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain for " + what)
		}
	}
}

// reasons returns the identifiers of the reasons in the status.
func reasons(t *testing.T, w *servertest.World) (ids []string) {
	t.Helper()
	st, err := w.Admin.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range st.Reasons {
		ids = append(ids, r.ID)
	}
	return ids
}

// TestLogThatCannotBeCutIsAWarning: where no segment can be written, the server works as
// before and says so. Once one can be written, the log is cut.
func TestLogThatCannotBeCutIsAWarning(t *testing.T) {
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}})
	w.Stop()
	addEvents(t, w, 1000)
	w.Start()
	if err := os.WriteFile(w.File("segments"), nil, 0o600); err != nil { // where the directory belongs
		t.Fatal(err)
	}
	w.Configure("audit: {segment: 64kB}\n")
	eventually(t, "the warning", func() bool { return slices.Contains(reasons(t, w), "audit-log-uncut") })
	if got := bot.Token(nil); got.Status != http.StatusOK {
		t.Errorf("token: %d %s", got.Status, got.Body)
	}
	if r := w.Readyz(); r.Status != http.StatusOK {
		t.Errorf("readyz: %d %s", r.Status, r.Body)
	}
	if _, err := w.Admin.Suspend(t.Context(), "bot", ""); err != nil {
		t.Error(err)
	}
	w.Stop()
	if err := os.Remove(w.File("segments")); err != nil {
		t.Fatal(err)
	}
	w.Start()
	eventually(t, "a segment", func() bool {
		list, err := w.Admin.Segments(t.Context())
		return err == nil && len(list) > 1
	})
	if slices.Contains(reasons(t, w), "audit-log-uncut") {
		t.Error("the warning stays")
	}
	w.WantSound()
	if left, err := filepath.Glob(w.File("segments/.*")); err != nil || left != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
