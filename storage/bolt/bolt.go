// Package bolt keeps a store in one bbolt file. It is a [storage.DB] for a single
// process, which holds the file's lock while the store is open.
//
// Each table is a top-level bucket. Writers commit in groups: those that wait
// while a commit is under way share the next one, see [DB.Update].
//
// The file has a reserve of room for urgent transactions (see reserve): on a full disk
// all other transactions fail first. Transactions that agents may make even then leave
// half of it.
//
// The package trusts the disk to keep what fsync reported as kept. It does not
// trust the file it opens: bbolt panics on malformed pages, sometimes beyond recovery,
// so every page in use is checked first. Pages have no checksum, so values that changed
// on the disk go unnoticed.
//
// A View shows only what is durable: while a commit waits for the disk, Views see the
// state before it (see horizon). Update must not be called from within View or Update: it
// would wait for itself.
package bolt

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"github.com/brevet-ca/brevet/storage"
)

var _ interface {
	storage.DB
	storage.Notifier
	storage.Statser
	storage.Health
} = (*DB)(nil)

// A DB is an open database file. [Open] makes one.
type DB struct {
	path string
	bolt *bbolt.DB
	file *os.File // bbolt's own, for reading

	turns   chan *group // see commitGroups
	alone   chan *group // likewise, for a member that must be alone in its group
	stop    chan struct{}
	stopped chan struct{}
	commit  func(*bbolt.Tx) error
	flush   func() error
	mapped  int // bytes of the file that are mapped at least
	room    room
	mended  time.Time // the last attempt to mend that failed

	commits, transactions atomic.Uint64
	spare, committing     atomic.Int64 // room.spare and nanoseconds spent in commits, for Stats

	horizon atomic.Pointer[horizon]       // what Views see
	broken  atomic.Pointer[error]         // why nothing can be done, see settle
	trouble atomic.Pointer[error]         // see Trouble
	changed atomic.Pointer[chan struct{}] // see Changed; nil while nobody waits
	reading sync.RWMutex                  // held by Views

	mu     sync.Mutex
	closed bool
	users  sync.WaitGroup // calls under way; none is added once closed
}

// enter begins a call on db, unless ctx is done or db is closed. The caller ends it
// with db.users.Done.
func (db *DB) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return storage.ErrClosed
	}
	db.users.Add(1)
	return nil
}

// Close waits for the running transactions and those that wait for their turn, then
// releases the file. Later calls fail with [storage.ErrClosed].
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return storage.ErrClosed
	}
	db.closed = true
	db.mu.Unlock()
	db.tell()

	db.users.Wait()
	close(db.stop)
	<-db.stopped
	if err := db.bolt.Close(); err != nil {
		return fmt.Errorf("closing the database %s: %w", db.path, err)
	}
	return nil
}

// Stats implements [storage.Statser]. A commit costs two fsyncs.
func (db *DB) Stats() storage.Stats {
	s := storage.Stats{Commits: db.commits.Load(), Transactions: db.transactions.Load(), Free: db.spare.Load(), Reserve: reserve, CommitTime: time.Duration(db.committing.Load())}
	if info, err := db.file.Stat(); err == nil {
		s.Size = info.Size()
	}
	var disk syscall.Statfs_t
	if err := syscall.Fstatfs(int(db.file.Fd()), &disk); err == nil {
		s.DiskFree, s.DiskSize = int64(disk.Bavail)*int64(disk.Bsize), int64(disk.Blocks)*int64(disk.Bsize)
	}
	return s
}
