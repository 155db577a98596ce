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
)

// Init makes a new authority in c.Dir, see [authority.Init].
func Init(ctx context.Context, c InitConfig, now time.Time) (*NewAuthority, error) {
	return authority.Init(ctx, c, now)
}

// VerifyBackup checks that a file is a sound copy of a store.
func VerifyBackup(file string) error { return authority.VerifyBackup(file) }

// Restore puts a backup in place of the store in dir, see [authority.Restore].
func Restore(ctx context.Context, dir, file, actor string, now time.Time) (kept string, err error) {
	return authority.Restore(ctx, dir, file, actor, now)
}
