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

// plan chooses how full to leave the pages of a table, given one more key.
func plan(b *bbolt.Bucket, key []byte) {
	if b.FillPercent == bbolt.DefaultFillPercent {
		b.FillPercent = fillRising
	}
	if b.FillPercent == fillRising {
		// Not Last: it never returns if the table's last page was emptied.
		if next, _ := b.Cursor().Seek(key); next != nil && !bytes.Equal(next, key) {
			b.FillPercent = fillScattered
		}
	}
}

// A tx is what one closure sees of a bbolt transaction, which it may share
// with the other members of its group.
type tx struct {
	b       *bbolt.Tx // nil once the closure has returned
	tables  [8]table  // the first ones looked up: a closure reads few tables, but often
	known   int       // how many of tables are in use
	changes []change
	drops   []string // tables to drop if the closure succeeds
	dropped bool     // one of them existed
}

// A table is the result of looking one up.
type table struct {
	name   string
	bucket *bbolt.Bucket // nil if the table does not exist
}

// A change is a write that can be undone.
type change struct {
	table   string
	created bool   // this write created the table
	key     []byte // otherwise: the key
	old     []byte // and its value before; nil if it was absent
}

func (t *tx) end() { t.b = nil }

// bucket returns the table's bucket, or nil if the table does not exist.
func (t *tx) bucket(name string) *bbolt.Bucket {
	if t.b == nil || slices.Contains(t.drops, name) {
		return nil
	}
	for i := range t.tables[:t.known] {
		if t.tables[i].name == name {
			return t.tables[i].bucket
		}
	}
	b := t.b.Bucket([]byte(name))
	if t.known < len(t.tables) {
		t.tables[t.known] = table{name, b}
		t.known++
	}
	return b
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
	b := t.bucket(table)
	if b == nil {
		return nil, storage.ErrNotFound
	}
	value := b.Get([]byte(key))
	if value == nil {
		return nil, storage.ErrNotFound
	}
	return value, nil
}

// Put implements [storage.Tx].
func (t *tx) Put(table, key string, value []byte) error {
	if err := t.writable(table); err != nil {
		return err
	}
	if table == "" || key == "" {
		return errNoName
	}
	b := t.bucket(table)
	if b == nil {
		var err error
		if b, err = t.b.CreateBucket([]byte(table)); err != nil {
			return fmt.Errorf("making table %q: %w", table, err)
		}
		t.known = 0 // the cached look-up says that the table does not exist
		t.changes = append(t.changes, change{table: table, created: true})
	}
	k := []byte(key)
	plan(b, k)
	t.changes = append(t.changes, change{table: table, key: k, old: b.Get(k)})
	// bbolt keeps the value until the commit, so copy the caller's. It must not be
	// nil, which Get would take for absent.
	if err := b.Put(k, append([]byte{}, value...)); err != nil {
		return fmt.Errorf("writing to table %q: %w", table, err)
	}
	return nil
}

// Delete implements [storage.Tx].
func (t *tx) Delete(table, key string) error {
	if err := t.writable(table); err != nil {
		return err
	}
	b := t.bucket(table)
	if b == nil {
		return nil
	}
	k := []byte(key)
	old := b.Get(k)
	if old == nil {
		return nil
	}
	t.changes = append(t.changes, change{table: table, key: k, old: old})
	if err := b.Delete(k); err != nil {
		return fmt.Errorf("deleting from table %q: %w", table, err)
	}
	return nil
}

// Scan implements [storage.Tx].
func (t *tx) Scan(table, prefix string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		b := t.bucket(table)
		if b == nil {
			return
		}
		p, c := []byte(prefix), b.Cursor()
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
	t.dropped = t.dropped || t.bucket(table) != nil
	t.drops = append(t.drops, table)
	return nil
}

// wrote reports whether there is anything to commit.
func (t *tx) wrote() bool { return len(t.changes) > 0 || t.dropped }

// dropTables performs the drops of a closure that succeeded.
func (t *tx) dropTables() error {
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
			err = t.b.DeleteBucket([]byte(c.table))
		} else if b := t.b.Bucket([]byte(c.table)); c.old == nil {
			err = b.Delete(c.key)
		} else {
			err = b.Put(c.key, c.old)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errUndo, err)
		}
	}
	return nil
}
