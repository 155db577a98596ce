package server

import (
	"context"
	"time"

	"github.com/brevet-ca/brevet/server/authority"
)

type (
	// An InitConfig describes a new authority.
	InitConfig = authority.InitConfig
	// A NewAuthority is what Init made.
	NewAuthority = authority.Made
	// Evidence is what somebody kept outside of a file.
	Evidence = authority.Evidence
	// Checked says what a file was found to be.
	Checked = authority.Checked
	// A RestoreConfig says what to restore.
	RestoreConfig = authority.RestoreConfig
	// Restored is what Restore came to.
	Restored = authority.Restored
)

// Init makes a new authority in c.Dir, see [authority.Init].
func Init(ctx context.Context, c InitConfig, now time.Time) (*NewAuthority, error) {
	return authority.Init(ctx, c, now)
}

// CheckBackup checks a backup, its audit log and its signed digest, see
// [authority.CheckBackup].
func CheckBackup(file string, e Evidence) (Checked, error) { return authority.CheckBackup(file, e) }

// CheckLog checks the audit log in a file, see [authority.CheckLog].
func CheckLog(file string, e Evidence) (Checked, error) { return authority.CheckLog(file, e) }

// CheckProof checks a proof that an entry is in the audit log, see [authority.CheckProof].
func CheckProof(proof, keys []byte) (entry []byte, size int64, err error) {
	return authority.CheckProof(proof, keys)
}

// Restore puts a backup in place of a store, see [authority.Restore].
func Restore(ctx context.Context, c RestoreConfig, now time.Time) (*Restored, error) {
	return authority.Restore(ctx, c, now)
}
