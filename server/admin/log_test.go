package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// TestLogProvesItself: a checkpoint that was saved long ago, and the proof of
// one entry, hold against the log of later, also over the rotation of its key.
func TestLogProvesItself(t *testing.T) {
	t.Parallel() // it waits for a server to stop
	w := newWorld(t)
	ctx := t.Context()
	early, err := w.Admin.VerifyLog(ctx, "")
	if err != nil || early.Entries != int64(len(w.Events())) || early.Entries == 0 || early.Root == "" {
		t.Fatalf("%+v, %v", early, err)
	}
	if _, err := w.Admin.RotateKey(ctx, "audit"); err != nil {
		t.Fatal(err)
	}
	w.Add("late", agents.Change{})
	late, err := w.Admin.VerifyLog(ctx, early.Checkpoint)
	if err != nil || late.Entries <= early.Entries {
		t.Fatalf("%+v, %v", late, err)
	}
	if late.Checkpoint == early.Checkpoint || !strings.HasPrefix(late.Checkpoint, "example.internal/brevet-audit\n") {
		t.Errorf("checkpoint %q", late.Checkpoint)
	}
	w.Stop()
	w.Start()
	for _, saved := range []string{"", early.Checkpoint, late.Checkpoint} {
		if _, err := w.Admin.VerifyLog(ctx, saved); err != nil {
			t.Errorf("after a restart: %v", err)
		}
	}

	other := newWorld(t)
	foreign, err := other.Admin.VerifyLog(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	var refusal *api.Error
	if _, err := w.Admin.VerifyLog(ctx, foreign.Checkpoint); !errors.As(err, &refusal) || refusal.Status != 400 {
		t.Errorf("with a checkpoint of another log: %v", err)
	}
	if _, err := w.Admin.VerifyLog(ctx, strings.Replace(early.Checkpoint, "\n", "x\n", 1)); !errors.As(err, &refusal) || refusal.Status != 400 {
		t.Errorf("with a checkpoint that was changed: %v", err)
	}
}

// TestProofOfAnEntry: the log's public key is enough to check a proof.
func TestProofOfAnEntry(t *testing.T) {
	w := newWorld(t)
	var key note.Verifier
	for _, v := range w.verifiers() {
		key = v
	}
	for _, e := range w.Events() {
		doc, err := w.Admin.Prove(t.Context(), e.Seq)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := audit.CheckProof(doc, key)
		if err != nil || got.Seq != e.Seq || string(got.Action) != e.Action {
			t.Errorf("entry %d is proven as %+v, %v", e.Seq, got, err)
		}
		if _, _, err := audit.CheckProof(bytes.Replace(doc, []byte(`brevet`), []byte(`beaver`), 1), key); err == nil {
			t.Errorf("a proof that was changed proves entry %d", e.Seq)
		}
	}
}

// verifiers makes them of what key list shows and of the log's name.
func (w *world) verifiers() (list []note.Verifier) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "copy.db")
	var store bytes.Buffer
	if err := w.Admin.Backup(w.t.Context(), &store); err != nil {
		w.t.Fatal(err)
	}
	keys := auditKeys(w.t, file, store.Bytes())
	for _, k := range keys {
		v, err := audit.NewVerifier("example.internal/brevet-audit", k)
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

// TestTamperedLogIsFound: an entry that was changed in the store.
func TestTamperedLogIsFound(t *testing.T) {
	t.Parallel() // it waits for a server to stop
	w := newWorld(t)
	w.Stop()
	db, err := bolt.Open(w.File("brevet.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const entry = "\x00\x00\x00\x00\x00\x00\x00\x02"
	err = db.Update(context.Background(), func(tx storage.Tx) error {
		value, err := tx.Get("audit", entry)
		if err != nil {
			return err
		}
		return tx.Put("audit", entry, bytes.Replace(value, []byte(`"decision":"allow"`), []byte(`"decision":"deny"`), 1))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	w.Start()
	var refusal *api.Error
	if _, err := w.Admin.VerifyLog(t.Context(), ""); !errors.As(err, &refusal) || !strings.Contains(refusal.Detail, "tampered") || !strings.Contains(refusal.Detail, "entry 2") {
		t.Errorf("got %v", err)
	}
}

func TestEventsAreChosen(t *testing.T) {
	t.Parallel() // it waits for a server to stop
	w := newWorld(t)
	all := w.Events()
	list := func(f api.EventFilter) (got []api.Event) {
		t.Helper()
		err := w.Admin.Events(t.Context(), f, func(line json.RawMessage) error {
			var e api.Event
			err := json.Unmarshal(line, &e)
			got = append(got, e)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, e := range list(api.EventFilter{Agent: "bot"}) {
		if e.Subject != "bot" && e.Actor != "spiffe://example.internal/agent/bot" {
			t.Errorf("of bot: %+v", e)
		}
	}
	if got := list(api.EventFilter{Agent: "bot"}); len(got) != 2 { // add, issue
		t.Errorf("of bot: %+v", got)
	}
	half := all[len(all)/2]
	if got := list(api.EventFilter{Since: half.Time}); len(got) == 0 || got[0].Seq > half.Seq || got[0].Time.Before(half.Time) {
		t.Errorf("since %s: %+v", half.Time, got)
	}
	if got := list(api.EventFilter{Since: w.Clock.Now().Add(time.Hour)}); len(got) != 0 {
		t.Errorf("since later: %+v", got)
	}
	// A follower is told of what comes, not of what was.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	told, done := make(chan api.Event), make(chan error, 1)
	go func() {
		done <- w.Admin.Events(ctx, api.EventFilter{Follow: true, Agent: "fresh"}, func(line json.RawMessage) error {
			var e api.Event
			err := json.Unmarshal(line, &e)
			told <- e
			return err
		})
	}()
	time.Sleep(300 * time.Millisecond) // until it listens
	w.Add("other", agents.Change{})
	w.Add("fresh", agents.Change{})
	if e := <-told; e.Subject != "fresh" || e.Action != "agent.add" {
		t.Errorf("told is %+v", e)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
	enough := errors.New("enough")
	if err := w.Admin.Events(t.Context(), api.EventFilter{}, func(json.RawMessage) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

func TestStatus(t *testing.T) {
	w := newWorld(t)
	w.token(w.bot)
	if _, err := w.Admin.Suspend(t.Context(), "boss", ""); err != nil {
		t.Fatal(err)
	}
	st, err := w.Admin.Status(t.Context())
	if err != nil || !st.Healthy || st.Problems != nil || st.Version != "test" || st.TrustDomain != "example.internal" || st.Advertise != w.URL || len(st.RootFingerprint) != 1 || st.RootFingerprint[0] != w.Fingerprint ||
		st.Agents["active"] != 1 || st.Agents["suspended"] != 1 || st.Certificates != 1 || st.Tokens != 1 || st.Events != int64(len(w.Events())) || st.StoreBytes == 0 || st.CRL.Number != 2 || st.CRL.Revoked != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	for what, end := range map[string]time.Time{"issuer": st.IssuerExpires, "root": st.RootExpires, "server": st.ServerExpires} {
		if !end.After(w.Clock.Now()) {
			t.Errorf("the %s ends at %s", what, end)
		}
	}
	w.Clock.Advance(time.Hour)
	if st, err := w.Admin.Status(t.Context()); err != nil || st.Healthy || st.Level != api.Critical || !slices.ContainsFunc(st.Problems, func(p string) bool { return strings.HasPrefix(p, "the CRL is not current: run ") }) {
		t.Errorf("with an old CRL: %+v, %v", st, err)
	}
}

// A fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestExportSaysWhichSideFailed: the server's log says nothing of a disk that is full where the export goes.
func TestExportSaysWhichSideFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := w.Admin.Export(t.Context(), api.ExportRequest{}, fullDisk{})
	if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "server") {
		t.Errorf("%v, want the error of the writer, and nothing of the server", err)
	}
}
