package authority

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/format"
	"github.com/brevet-ca/brevet/storage/keys"
)

// times holds the latest time that it was here, under one key.
const (
	times     = storage.Table[time.Time]("clock")
	latestKey = "latest"
)

// noteTime records the latest time.
func noteTime(tx storage.Tx, latest time.Time) error { return times.Put(tx, latestKey, latest) }

// Examine looks at the store before anything relies on it. It checks that the store
// is an authority's. By a few hashes it also checks that the audit log is the one
// that its last checkpoint was signed for. It returns the latest time on record.
func Examine(ctx context.Context, db storage.DB, dir string, td agents.TrustDomain) (latest time.Time, err error) {
	path := filepath.Join(dir, config.Store)
	err = db.View(ctx, func(tx storage.Tx) error {
		if err := format.Check(tx); err != nil {
			return fmt.Errorf("opening %s: %w", path, err)
		}
		if _, err := keys.Active(tx, keys.Issuer); errors.Is(err, storage.ErrNotFound) {
			return fmt.Errorf("%s is not the store of an authority, or not all of it: restore a backup with brevet restore FILE", path)
		} else if err != nil {
			return err
		}
		if err := checkLog(tx, td); err != nil {
			return fmt.Errorf("the audit log in %s is not what was recorded: %w; keep the file as evidence and restore a backup with brevet restore FILE", path, err)
		}
		latest, err = latestTime(tx)
		return err
	})
	return latest, err
}

// checkLog compares the audit log with the checkpoint saved in the store.
func checkLog(tx storage.Tx, td agents.TrustDomain) error {
	list, err := verifiers(tx, td)
	if err != nil {
		return err
	}
	return audit.CheckSaved(tx, list...)
}

// latestTime returns the latest time on record: that of the newest event, or
// one noted since. It is the zero time if nothing is on record.
func latestTime(tx storage.Tx) (time.Time, error) {
	latest, err := times.Get(tx, latestKey)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return latest, err
	}
	size, err := audit.Size(tx)
	if err != nil || size == 0 {
		return latest, err
	}
	newest, err := audit.Get(tx, size-1)
	if err == nil && newest.Time.After(latest) {
		latest = newest.Time
	}
	return latest, err
}
