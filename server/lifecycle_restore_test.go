package server_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestRestore: what happened since the backup is forgotten; only the numbers of
// lists go on, and that it was restored is on record.
func TestRestore(t *testing.T) {
	t.Parallel() // it waits for a server to stop
	w := newReading(t)
	file := filepath.Join(t.TempDir(), "backup")
	backup(t, w.World, file)
	if err := only(server.CheckBackup(file, server.Evidence{})); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Admin.Suspend(t.Context(), "reader", ""); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := w.Admin.PublishCRL(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	number := w.World.CRL().Number
	restore := func() (*server.Restored, error) {
		return server.Restore(context.Background(), server.RestoreConfig{Dir: w.Dir, File: file, Actor: ""}, w.Clock.Now())
	}
	if r, err := restore(); err == nil || !strings.Contains(err.Error(), "brevet.db") || r != nil {
		t.Errorf("while the server runs: %+v, %v", r, err)
	}
	w.works("after a restore that was refused", w.token, false)
	w.Stop()
	r, err := restore()
	if err != nil || r.Kept != w.File("brevet.db.before-restore") || !slices.Equal(r.Applied, []string{"agent.suspend reader"}) || r.Unknown != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := restore(); err == nil || !strings.Contains(err.Error(), "left from an earlier restore") {
		t.Errorf("again: %v", err)
	}
	w.Start()
	if a, err := w.Admin.Agent(t.Context(), "reader"); err != nil || a.State != "suspended" {
		t.Errorf("the agent that was suspended after the backup: %+v, %v", a, err)
	}
	if list := w.World.CRL(); list.Number.Cmp(number) <= 0 {
		t.Errorf("list %s after list %s", list.Number, number)
	}
	found := false
	for _, e := range w.Events() {
		if e.Action == "agent.suspend" {
			t.Errorf("what happened since the backup is on record: %+v", e)
		}
		if e.Action == "authority.restore" {
			found = e.Actor == policy.UID(uint32(os.Getuid())).Actor && e.Subject == servertest.TrustDomain && e.Decision == "allow"
		}
	}
	if !found {
		t.Errorf("that it was restored is not on record: %+v", w.Events())
	}
	if _, err := w.Admin.VerifyLog(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if err := only(server.CheckBackup(r.Kept, server.Evidence{})); err != nil {
		t.Errorf("the store that was there: %v", err)
	}
}

func backup(t *testing.T, w *servertest.World, file string) {
	t.Helper()
	var text bytes.Buffer
	if err := w.Admin.Backup(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRestoreRefusesWhatIsNoBackup(t *testing.T) {
	t.Parallel() // it waits for a server to stop
	w := servertest.New(t)
	file := filepath.Join(t.TempDir(), "backup")
	backup(t, w, file)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w.Stop()
	before, err := os.ReadFile(w.File("brevet.db"))
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string][]byte{"junk": []byte("junk"), "nothing": nil, "cut off": whole[:len(whole)/2], "a key": []byte("-----BEGIN PRIVATE KEY-----\n")} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := only(server.CheckBackup(file, server.Evidence{})); err == nil {
			t.Errorf("%s passes for a backup", what)
		}
		if kept, err := server.Restore(context.Background(), server.RestoreConfig{Dir: w.Dir, File: file, Actor: "test"}, w.Clock.Now()); err == nil {
			t.Errorf("%s was restored: %+v", what, kept)
		}
	}
	if _, err := server.Restore(context.Background(), server.RestoreConfig{Dir: w.Dir, File: "/nowhere", Actor: "test"}, w.Clock.Now()); err == nil {
		t.Error("a file that is not there was restored")
	}
	if _, err := server.Restore(context.Background(), server.RestoreConfig{Dir: t.TempDir(), File: file, Actor: "test"}, w.Clock.Now()); err == nil || !strings.Contains(err.Error(), "there is no authority") {
		t.Errorf("in another directory: %v", err)
	}
	after, err := os.ReadFile(w.File("brevet.db"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the store was changed: %v", err)
	}
	for _, name := range filesIn(t, w.Dir) {
		if strings.Contains(name, "restor") {
			t.Errorf("left is %s", name)
		}
	}
	w.Start()
}

// TestRestoreIntoALostStore: the directory has its keys and brevet.yaml.
func TestRestoreIntoALostStore(t *testing.T) {
	t.Parallel() // it waits for a server to stop
	w := newReading(t)
	file := filepath.Join(t.TempDir(), "backup")
	backup(t, w.World, file)
	w.Stop()
	if err := os.WriteFile(w.File("brevet.db"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := server.Restore(context.Background(), server.RestoreConfig{Dir: w.Dir, File: file, Actor: "test", KeepIssued: true}, w.Clock.Now())
	if err != nil || r.Unknown == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	w.Start()
	w.works("restored", w.token, true)
	for _, waits := range []bool{true, false} {
		st, err := w.Admin.Status(t.Context())
		if err != nil || st.Healthy == waits || waits != strings.Contains(strings.Join(st.Problems, " "), "brevet restore --confirm") {
			t.Errorf("before the confirmation: %t, %+v, %v", waits, st.Problems, err)
		}
		if c, err := w.Admin.ConfirmRestore(t.Context()); err != nil || (c.Note == "") != waits {
			t.Errorf("before the confirmation: %t, %+v, %v", waits, c, err)
		}
	}
}
