package authority

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// TestLatestTimeOnRecord is that of the newest event, since the process may have
// been killed, or the one noted when it stopped, since it may have been idle.
func TestLatestTimeOnRecord(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		write func(storage.Tx) error
		want  time.Time
	}{
		{func(storage.Tx) error { return nil }, time.Time{}},
		{func(tx storage.Tx) error { return appendAt(tx, at) }, at},
		{func(tx storage.Tx) error { return noteTime(tx, clock.Record{Latest: at.Add(time.Hour)}) }, at.Add(time.Hour)},
		{func(tx storage.Tx) error { return appendAt(tx, at.Add(2*time.Hour)) }, at.Add(2 * time.Hour)},
	} {
		var got time.Time
		err := db.Update(t.Context(), func(tx storage.Tx) (err error) {
			if err := step.write(tx); err != nil {
				return err
			}
			on, err := timeOnRecord(tx)
			got = on.Latest
			return err
		})
		if err != nil || !got.Equal(step.want) {
			t.Errorf("%s %v, want %s", got, err, step.want)
		}
	}
}

func appendAt(tx storage.Tx, at time.Time) error {
	_, err := audit.Append(tx, audit.Event{Time: at, Actor: "test", Action: audit.ServerStart, Decision: audit.Allow})
	return err
}

// TestDoubtOnRecord: a restart does not forget that the clock may be ahead.
func TestDoubtOnRecord(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	want := clock.Record{Latest: at, Least: at.Add(time.Minute), Jumps: []clock.Jump{{By: 6 * time.Hour, Left: time.Hour}}}
	var got clock.Record
	err = db.Update(t.Context(), func(tx storage.Tx) error {
		err := noteTime(tx, want)
		if err == nil {
			got, err = timeOnRecord(tx)
		}
		return err
	})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
}
