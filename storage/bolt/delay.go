package bolt

import (
	"context"

	"go.etcd.io/bbolt"

	"github.com/brevet-ca/brevet/storage"
)

// Delay has each later commit call wait when it has written everything and before it
// counts as durable, as if the disk took that long for the last fsync. nil ends that.
// Tests use it to see what readers are shown meanwhile. It takes a turn like an Update, so
// no commit is under way when the change is made.
func (db *DB) Delay(ctx context.Context, wait func()) error {
	commit := (*bbolt.Tx).Commit
	if wait != nil {
		commit = func(b *bbolt.Tx) error {
			err := b.Commit()
			wait()
			return err
		}
	}
	return db.Update(ctx, func(storage.Tx) error {
		db.commit = commit
		return nil
	})
}
