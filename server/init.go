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
	// A RestoreConfig says what to restore.
	RestoreConfig = authority.RestoreConfig
	// Restored is what Restore came to.
	Restored = authority.Restored
)

// Init makes a new authority in c.Dir, see [authority.Init].
func Init(ctx context.Context, c InitConfig, now time.Time) (*NewAuthority, error) {
	return authority.Init(ctx, c, now)
}

// VerifyBackup checks that a file is a sound copy of a store.
func VerifyBackup(file string) error { return authority.VerifyBackup(file) }

// Restore puts a backup in place of a store, see [authority.Restore].
func Restore(ctx context.Context, c RestoreConfig, now time.Time) (*Restored, error) {
	return authority.Restore(ctx, c, now)
}
