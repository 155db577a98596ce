package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/brevet-ca/brevet/storage"
)

var (
	errEnded    = errors.New("the transaction has ended")
	errReadOnly = errors.New("writing in a View; use Update")
	errNoName   = errors.New("empty table or key")
)

// How full bbolt leaves the pages of a table that it splits in a commit. If keys only
// rise, nothing is inserted later, and pages may be full. If keys are scattered, pages
// that are split near the end are left nearly empty: measured with random keys, 38% of
// the space was in use, against 69% when split in the middle.
const (
	fillRising    = 0.9
	fillScattered = 0.55 // 0.5, bbolt's default, would mean "not decided yet" here
)

// plan chooses how full to leave the pages of a table, given one more key, and the
// one that comes after it or is the same.
func plan(b *bbolt.Bucket, key, next []byte) {
	if b.FillPercent == bbolt.DefaultFillPercent {
		b.FillPercent = fillRising
	}
	if next != nil && !bytes.Equal(next, key) {
		b.FillPercent = fillScattered
	}
}

// A tx is what one closure sees of a bbolt transaction, which it may share
// with the other members of its group.
type tx struct {
	b       *bbolt.Tx // nil once the closure has returned
	tables  *tables
	changes []change
	size    int64    // of what was put, with what bbolt adds to it
	drops   []string // tables to drop if the closure succeeds
	dropped bool     // one of them existed
}

// tables are those that were looked up in a bbolt transaction, as many as there is room
// for. Few are, but often.
type tables struct{ found []table }

// How many tables are kept: those that a View reads, and those that a group of
// issuances of all kinds reads and writes.
const (
	viewed  = 8
	grouped = 32
)

// A table is the result of looking one up.
type table struct {
	name   string
	bucket *bbolt.Bucket // nil if the table does not exist
	cursor *bbolt.Cursor // for all keys: a cursor of its own for each would be garbage
	key    []byte        // the last one looked for, whose memory the next one takes
}

// forget is called when a table was made or dropped.
func (t *tables) forget() {
	clear(t.found)
	t.found = t.found[:0]
}

// seek returns the first key of an existing table that is not less than key, with its
// value, or nil if the table has no such key. t.key is key afterwards.
func (t *table) seek(key string) (next, value []byte) {
	if t.cursor == nil {
		t.cursor = t.bucket.Cursor()
	}
	t.key = append(t.key[:0], key...)
	return t.cursor.Seek(t.key)
}

// get returns the value of a key of an existing table, or nil. The key is in t.key then.
func (t *table) get(key string) []byte {
	next, value := t.seek(key)
	if !bytes.Equal(next, t.key) {
		return nil
	}
	return value
}

// A change is a write that can be undone.
type change struct {
	table   string
	created bool   // this write created the table
	key     string // otherwise: the key
	old     []byte // and its value before; nil if it was absent
}

func (t *tx) end() { t.b = nil }

// table looks a table up. It returns nil if it does not exist.
func (t *tx) table(name string) *table {
	if t.b == nil || slices.Contains(t.drops, name) {
		return nil
	}
	return t.tables.find(t.b, name).existing()
}

func (t *tables) find(b *bbolt.Tx, name string) *table {
	for i := range t.found {
		if t.found[i].name == name {
			return &t.found[i]
		}
	}
	found := table{name: name, bucket: b.Bucket([]byte(name))}
	n := len(t.found)
	if n == cap(t.found) {
		return &table{name: found.name, bucket: found.bucket}
	}
	t.found = append(t.found, found)
	return &t.found[n]
}

func (t *table) existing() *table {
	if t.bucket == nil {
		return nil
	}
	return t
}

// writable returns an error if the table cannot be written.
func (t *tx) writable(table string) error {
	switch {
	case t.b == nil:
		return errEnded
	case !t.b.Writable():
		return errReadOnly
	case slices.Contains(t.drops, table):
		return storage.ErrDropped
	}
	return nil
}

// Get implements [storage.Tx].
func (t *tx) Get(table, key string) ([]byte, error) {
	if t.b == nil {
		return nil, errEnded
	}
	if found := t.table(table); found != nil {
		if value := found.get(key); value != nil {
			return value, nil
		}
	}
	return nil, storage.ErrNotFound
}

// Put implements [storage.Tx].
func (t *tx) Put(table, key string, value []byte) error {
	if err := t.writable(table); err != nil {
		return err
	}
	if table == "" || key == "" {
		return errNoName
	}
	to := t.table(table)
	if to == nil {
		if _, err := t.b.CreateBucket([]byte(table)); err != nil {
			return fmt.Errorf("making table %q: %w", table, err)
		}
		t.tables.forget()
		t.changes = append(t.changes, change{table: table, created: true})
		to = t.table(table)
	}
	next, old := to.seek(key)
	plan(to.bucket, to.key, next)
	if !bytes.Equal(next, to.key) {
		old = nil
	}
	t.changes = append(t.changes, change{table: table, key: key, old: old})
	t.size += int64(len(table) + len(key) + len(value) + 64)
	if value == nil {
		value = []byte{} // Get would take nil for absent
	}
	if err := to.bucket.Put(to.key, value); err != nil {
		return fmt.Errorf("writing to table %q: %w", table, err)
	}
	return nil
}

// Delete implements [storage.Tx].
func (t *tx) Delete(table, key string) error {
	if err := t.writable(table); err != nil {
		return err
	}
	from := t.table(table)
	if from == nil {
		return nil
	}
	old := from.get(key)
	if old == nil {
		return nil
	}
	t.changes = append(t.changes, change{table: table, key: key, old: old})
	if err := from.bucket.Delete(from.key); err != nil {
		return fmt.Errorf("deleting from table %q: %w", table, err)
	}
	return nil
}

// Scan implements [storage.Tx].
func (t *tx) Scan(table, prefix string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		in := t.table(table)
		if in == nil {
			return
		}
		p, c := []byte(prefix), in.bucket.Cursor() // its own: Get and Put may run between two keys
		for k, v := c.Seek(p); k != nil && bytes.HasPrefix(k, p); k, v = c.Next() {
			if !yield(string(k), v) {
				return
			}
		}
	}
}

// Drop implements [storage.Tx]. The table is dropped only when the closure has
// succeeded, because a deleted bucket could not be brought back.
func (t *tx) Drop(table string) error {
	if err := t.writable(table); errors.Is(err, storage.ErrDropped) {
		return nil
	} else if err != nil {
		return err
	}
	t.dropped = t.dropped || t.table(table) != nil
	t.drops = append(t.drops, table)
	return nil
}

// need is how much room the writes may take: a few scattered pages that are copied, and
// what was put, on pages that are not full.
func (t *tx) need() int64 { return 3*4096 + t.size*3/2 }

// wrote reports whether there is anything to commit.
func (t *tx) wrote() bool { return len(t.changes) > 0 || t.dropped }

// dropTables performs the drops of a closure that succeeded.
func (t *tx) dropTables() error {
	if len(t.drops) > 0 {
		defer t.tables.forget()
	}
	for _, table := range t.drops {
		err := t.b.DeleteBucket([]byte(table))
		if err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
			return fmt.Errorf("dropping table %q: %w", table, err)
		}
	}
	return nil
}

// undo reverts the closure's writes, the last one first.
func (t *tx) undo() error {
	for _, c := range slices.Backward(t.changes) {
		var err error
		if c.created {
			t.tables.forget()
			err = t.b.DeleteBucket([]byte(c.table))
		} else if b := t.b.Bucket([]byte(c.table)); c.old == nil {
			err = b.Delete([]byte(c.key))
		} else {
			err = b.Put([]byte(c.key), c.old)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errUndo, err)
		}
	}
	return nil
}
