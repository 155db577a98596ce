package bolt

import (
	"context"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/brevet-ca/brevet/storage"
)

// View runs fn on a snapshot of what is durable. Writing fails.
func (db *DB) View(ctx context.Context, fn func(storage.Tx) error) error {
	return db.view(ctx, func(b *bbolt.Tx) error {
		t := &tx{b: b, tables: &tables{make([]table, 0, viewed)}}
		defer t.end()
		return fn(t)
	})
}

// A horizon says what Views may see. bbolt writes the page that makes a commit valid,
// and then waits for the disk. Transactions that begin in between already see the
// commit, although a crash would undo it.
type horizon struct {
	durable int           // the ID of the last durable transaction
	kept    *snapshot     // its state while a commit is under way, see keep
	over    chan struct{} // closed unless a commit is under way
}

// A snapshot is a read transaction that several Views share, which bbolt permits for
// reading. It ends with the last of its users.
type snapshot struct {
	b     *bbolt.Tx
	users atomic.Int64
}

// join adds a user, unless the transaction has ended.
func (s *snapshot) join() bool {
	for {
		n := s.users.Load()
		if n == 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *snapshot) leave() {
	if s.users.Add(-1) == 0 {
		_ = s.b.Rollback() // fails only if it has ended
	}
}

// view runs fn on the last durable state.
func (db *DB) view(ctx context.Context, fn func(*bbolt.Tx) error) error {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.users.Done()
	for {
		later, err := db.tryView(fn)
		if later == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-later:
		}
	}
}

// tryView runs fn on the last durable state. If only a later state can be read, it
// returns a channel that is closed when that is durable or given up.
func (db *DB) tryView(fn func(*bbolt.Tx) error) (later <-chan struct{}, err error) {
	db.reading.RLock()
	defer db.reading.RUnlock()
	if broken := db.broken.Load(); broken != nil {
		return nil, *broken
	}
	if s := db.horizon.Load().kept; s != nil && s.join() {
		defer s.leave()
		return nil, fn(s.b)
	}
	b, err := db.bolt.Begin(false)
	if err != nil {
		return nil, err
	}
	defer b.Rollback()
	if h := db.horizon.Load(); b.ID() > h.durable { // a commit came in between
		return h.over, nil
	}
	return nil, fn(b)
}

// hide begins a commit: until show, Views see the state before it.
func (db *DB) hide(g *group) {
	h := &horizon{durable: db.horizon.Load().durable, over: make(chan struct{})}
	if db.mayKeep(g) {
		if b, err := db.bolt.Begin(false); err == nil {
			h.kept = &snapshot{b: b}
			h.kept.users.Store(1)
		}
	}
	db.horizon.Store(h)
}

// show ends a commit, if one is under way: from now on Views see the transaction
// with the given ID, and nothing later.
func (db *DB) show(id int) {
	h := db.horizon.Swap(&horizon{durable: id, over: over})
	if h.kept != nil {
		h.kept.leave()
	}
	if h.over != over {
		close(h.over)
	}
}

// over is the horizon's channel while no commit is under way.
var over = make(chan struct{})

func init() { close(over) }

// mayKeep reports whether a snapshot may be kept while g is committed. A commit that
// outgrows the map waits for all read transactions, and so would never end while the
// snapshot is kept. A commit writes each page in use at most once more. Splitting pages, which
// are then at least half full, and rounding take less than 6 times as much, so 8 times
// includes the old pages. In a store that is too large for this, Views that begin
// during the last fsync of a commit wait for it.
func (db *DB) mayKeep(g *group) bool {
	return 8*(g.b.Size()+g.size) <= int64(db.mapped)
}

// lastID returns the ID of the last transaction whose commit is in the file, durable or
// not.
func (db *DB) lastID() (int, error) {
	b, err := db.bolt.Begin(false)
	if err != nil {
		return 0, err
	}
	id := b.ID()
	return id, b.Rollback()
}
