// Package storage is the one place where brevet keeps state: named tables of
// keys and values, read from a consistent snapshot and written in atomic,
// durable transactions. It knows no domain type. Each domain package owns its
// tables, unexported, as a [Table] or, for records that expire, a
// [Partitioned] table.
//
// Engines live in sub-packages (storage/bolt); every engine passes the suite
// of storage/storagetest.
package storage

import (
	"context"
	"errors"
	"io"
	"iter"
)

var (
	// ErrNotFound says that a table has no such key.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a key which had to be new is taken.
	ErrExists = errors.New("already exists")
	// ErrClosed says that the database was closed; nothing was done.
	ErrClosed = errors.New("the database is closed")
	// ErrDropped says that a table was written after it was dropped in the
	// same transaction, which engines need not support.
	ErrDropped = errors.New("table was dropped in this transaction")
)

// A DB is a transactional store. Its methods may be called concurrently.
type DB interface {
	// View runs fn on a consistent snapshot of what is durable. It shows every
	// Update that returned before, and nothing that a crash could undo. fn must not
	// write.
	View(ctx context.Context, fn func(Tx) error) error

	// Update runs fn in a transaction that is atomic, and durable when Update
	// returns nil. If fn fails, none of its writes remain and Update returns
	// its error. fn may run twice, so it touches nothing outside tx but
	// variables that it sets again on each run. Once fn has run, Update waits
	// for the outcome whatever becomes of ctx.
	Update(ctx context.Context, fn func(Tx) error) error

	// Backup writes a copy of the whole store, as of one instant, while the
	// store is in use.
	Backup(ctx context.Context, w io.Writer) error

	// Close waits for the transactions under way and releases the store.
	Close() error
}

// A Tx reads and writes within one transaction. It is not safe for concurrent use. It
// and the values that it returns are invalid after the transaction: copy a value to
// keep it.
type Tx interface {
	// Get returns the value of key, or [ErrNotFound].
	Get(table, key string) ([]byte, error)
	// Put sets the value of key. An empty table or key is an error. The engine keeps
	// the value until the transaction has ended, so the caller must not change it.
	Put(table, key string, value []byte) error
	// Delete removes key; removing what is not there is no error.
	Delete(table, key string) error
	// Scan yields the pairs whose key begins with prefix, in the order of the
	// keys' bytes. The table must not be written during the scan.
	Scan(table, prefix string) iter.Seq2[string, []byte]
	// Drop removes a whole table at a cost that does not grow with what other
	// tables hold. Writing to it later in the same transaction is [ErrDropped].
	Drop(table string) error
}
