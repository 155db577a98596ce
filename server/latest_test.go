package server

import (
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A machine has a clock that a test sets.
type machine struct{ ahead time.Duration }

func (m *machine) now() time.Time { return time.Now().Add(m.ahead) }

// TestLatestTimeOnRecord is that of the newest event, since the process may have
// been killed, or the one noted when it stopped, since it may have been idle.
func TestLatestTimeOnRecord(t *testing.T) {
	w, _ := newSweepWorld(t)
	defer w.db.Close()
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		write func(storage.Tx) error
		want  time.Time
	}{
		{func(storage.Tx) error { return nil }, time.Time{}},
		{func(tx storage.Tx) error { return appendAt(tx, at) }, at},
		{func(tx storage.Tx) error { return times.Put(tx, latestKey, at.Add(time.Hour)) }, at.Add(time.Hour)},
		{func(tx storage.Tx) error { return appendAt(tx, at.Add(2*time.Hour)) }, at.Add(2 * time.Hour)},
	} {
		var got time.Time
		err := w.db.Update(t.Context(), func(tx storage.Tx) (err error) {
			if err := step.write(tx); err != nil {
				return err
			}
			got, err = latestTime(tx)
			return err
		})
		if err != nil || !got.Equal(step.want) {
			t.Errorf("%s %v, want %s", got, err, step.want)
		}
	}
}

func appendAt(tx storage.Tx, at time.Time) error {
	_, err := audit.Append(tx, audit.Event{Time: at, Actor: "test", Action: "test.run", Decision: audit.Allow})
	return err
}
