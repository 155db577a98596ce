package authority

import (
	"context"
	"errors"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A BackupRecord says when a backup was made. It is stored as JSON: fields may be added, and
// none changes its meaning.
type BackupRecord struct {
	Taken time.Time `json:"taken"`
	Size  int64     `json:"size"` // in octets
}

// backups holds the record of the last backup, under one key.
const (
	backups       = storage.Table[BackupRecord]("backups")
	lastBackupKey = "last"
)

// NoteBackup records a backup, unless a later one is on record.
func NoteBackup(tx storage.Tx, b BackupRecord) error {
	last, err := lastBackup(tx)
	if err != nil || last.Taken.After(b.Taken) {
		return err
	}
	return backups.Put(tx, lastBackupKey, b)
}

// lastBackup returns the record of the last backup, or the zero one.
func lastBackup(tx storage.Tx) (BackupRecord, error) {
	b, err := backups.Get(tx, lastBackupKey)
	if errors.Is(err, storage.ErrNotFound) {
		return BackupRecord{}, nil
	}
	return b, err
}

// LastBackup returns when the last backup was made, or the zero time.
func (a *Authority) LastBackup(ctx context.Context) (taken time.Time) {
	a.DB.View(ctx, func(tx storage.Tx) error {
		b, err := lastBackup(tx)
		taken = b.Taken
		return err
	})
	return taken
}
