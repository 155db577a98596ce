package server

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestHealthOfAnAuthority: a fresh one is well, and each reason comes in time, with what mends
// it. The server stays ready unless the reason keeps it from its work.
func TestHealthOfAnAuthority(t *testing.T) {
	const day = 24 * time.Hour
	a := newAuthority(t)
	if found := a.authority.Health(t.Context()); len(found) > 0 {
		t.Fatalf("a fresh authority: %v", found)
	}
	at := func(after time.Duration) {
		a.set(dawn.Add(after))
		a.authority.Own.Renew(t.Context())
		a.authority.CRL.PublishRegular(t.Context())
	}
	want := func(what, id string, level api.Level, mend string, stops bool) {
		t.Helper()
		found := a.authority.Health(t.Context())
		i := slices.IndexFunc(found, func(r api.Reason) bool { return r.ID == id })
		if level == api.OK {
			if i >= 0 {
				t.Errorf("%s: %v", what, found[i])
			}
			return
		}
		if i < 0 || found[i].Level != level || !strings.Contains(found[i].Mend, mend) || found[i].Stops != stops {
			t.Errorf("%s: %+v, want %s %s", what, found, level, id)
		}
		if got, ready := a.authority.Ready(t.Context()); got.Rank() < level.Rank() || ready == stops {
			t.Errorf("%s: %s, ready %t", what, got, ready)
		}
	}
	at(7*day - time.Hour)
	want("in the first week", "backup-old", api.OK, "", false)
	at(7*day + time.Hour)
	want("after it", "backup-old", api.Warning, "brevet backup", false)
	a.write(func(tx storage.Tx) error {
		return authority.NoteBackup(tx, authority.BackupRecord{Taken: dawn.Add(2 * day), Size: 1})
	})
	want("with a backup", "backup-old", api.OK, "", false)
	at(9*day + time.Hour)
	want("that is old", "backup-old", api.Warning, "brevet backup", false)
	a.write(func(tx storage.Tx) error { return agents.NoteRestore(tx, agents.Restore{At: a.now(), Unknown: true}) })
	want("after a restore", "restore-unconfirmed", api.Critical, "brevet restore --confirm", false)
	a.write(func(tx storage.Tx) error { _, err := agents.ConfirmRestore(tx); return err })
	want("that is confirmed", "restore-unconfirmed", api.OK, "", false)
	at(59 * day)
	want("after two months", "issuer-ends", api.OK, "", false)
	at(61 * day)
	want("a month before its end", "issuer-ends", api.Warning, "brevet key rotate issuer", false)
	at(84 * day)
	want("a week before its end", "issuer-ends", api.Critical, "brevet key rotate issuer", false)
	files, _ := filepath.Glob(filepath.Join(a.Dir, "tokens-*.key"))
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	want("without a key file", "key-missing", api.Critical, "put the key file back", false)
	at(90*day + time.Second)
	want("at its end", "issuer-ends", api.Critical, "brevet key rotate issuer", true)
}

// write changes the store.
func (a *world) write(change func(storage.Tx) error) {
	a.t.Helper()
	if err := a.db.Update(a.t.Context(), change); err != nil {
		a.t.Fatal(err)
	}
}

// TestDamagedRecordIsNoGoodNews: what a record that cannot be read would have said is not
// known, so the health does not pass it over.
func TestDamagedRecordIsNoGoodNews(t *testing.T) {
	a := newAuthority(t)
	if err := a.db.Update(t.Context(), func(tx storage.Tx) error { return tx.Put("backups", "last", []byte("junk")) }); err != nil {
		t.Fatal(err)
	}
	found := a.authority.Health(t.Context())
	if !slices.ContainsFunc(found, func(r api.Reason) bool { return r.ID == "store-unreadable" && r.Level == api.Critical }) {
		t.Errorf("the reasons are %v", found)
	}
}

// TestHealthChangesAreRecorded, once each, and not again after a restart.
func TestHealthChangesAreRecorded(t *testing.T) {
	a := newAuthority(t)
	watch := func(want int) (recorded []audit.Event) {
		t.Helper()
		a.authority.Own.Renew(t.Context())
		a.authority.CRL.PublishRegular(t.Context())
		for range 2 {
			if err := a.authority.WatchHealth(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		a.db.View(t.Context(), func(tx storage.Tx) error {
			for e, err := range audit.Since(tx, 0) {
				if err == nil && e.Action == audit.HealthChange && strings.Contains(e.Reasons[0], "backup-old") {
					recorded = append(recorded, e)
				}
			}
			return nil
		})
		if len(recorded) != want {
			t.Fatalf("%d events, want %d: %+v", len(recorded), want, recorded)
		}
		return recorded
	}
	watch(0)
	a.set(dawn.Add(8 * 24 * time.Hour))
	e := watch(1)[0]
	if e.Subject != "brevet" || e.Actor != "system" || e.Reasons[0] != "backup-old is warning, was ok" || !strings.Contains(e.Reasons[1], "run brevet backup FILE") {
		t.Errorf("recorded is %+v", e)
	}
	a.restarted(t)
	watch(1)
	a.write(func(tx storage.Tx) error {
		return authority.NoteBackup(tx, authority.BackupRecord{Taken: a.now(), Size: 1})
	})
	e = watch(2)[1]
	if e.Details == nil || e.Details.From != "warning" || e.Details.To != "ok" || !slices.Equal(e.Details.Codes, []string{"backup-old"}) {
		t.Errorf("recorded is %+v %+v", e, e.Details)
	}
}

// TestReasonsAreDocumented in docs/operations.md.
func TestReasonsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range authority.ReasonIDs() {
		if !strings.Contains(string(text), "\n| `"+id+"` |") {
			t.Errorf("docs/operations.md does not explain %s", id)
		}
	}
}
