package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"go.etcd.io/bbolt"

	"github.com/brevet-ca/brevet/storage"
)

// maxGroup bounds how many transactions share a commit, and so how long the first of
// them waits for the others. A commit costs about 400 µs and a small transaction about
// 5 µs. With 256 members, each one's share of the commit is 2 µs; with more, each would
// only wait longer.
const maxGroup = 256

// errUndo says that a closure's writes could not be undone.
var errUndo = errors.New("undoing a transaction that failed")

// A group is the transactions that share one commit. It has one holder at a
// time: the committer or the member whose turn it is.
type group struct {
	b      *bbolt.Tx // nil until the first member writes or reads
	tables tables
	undo   []change      // memory for the changes of one member after the other
	size   int64         // of what was put, even if it was undone
	kept   int           // members whose writes b holds
	need   int64         // room that these writes may take, see (*tx).need
	floor  int64         // room that must be left after the commit
	spoil  error         // if set, why b must not be committed
	back   chan struct{} // a member hands the group back
	done   chan struct{} // closed after the commit
	err    error         // of the commit, once done is closed
}

// Update runs fn in the calling goroutine when its turn comes: the committer
// lends the group to each waiting Update in turn and commits when none is left. So a
// single writer has the latency of one commit, and many writers share it. If fn panics
// or ends its goroutine, its writes are undone, too.
//
// A View during fn sees nothing of the group. If the commit fails, every member gets
// its error, even a member whose fn failed, because what that fn saw was never
// committed. An urgent member runs once more, in a group of its own: with less to write,
// or without the member that spoilt the commit, it may succeed.
func (db *DB) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.users.Done()
	urgent := storage.UrgencyOf(ctx)
	failed, err := db.join(ctx, db.turns, urgent, fn)
	if failed && urgent != storage.NotUrgent && db.broken.Load() == nil {
		_, err = db.join(context.WithoutCancel(ctx), db.alone, urgent, fn)
	}
	return err
}

// join runs fn in the next group that turns offers. It reports whether fn failed
// because the group's commit did.
func (db *DB) join(ctx context.Context, turns <-chan *group, urgent storage.Urgency, fn func(storage.Tx) error) (failed bool, err error) {
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case g := <-turns:
		if err := ctx.Err(); err != nil { // select picks either when both are ready
			g.back <- struct{}{}
			return false, err
		}
		err := db.run(g, urgent, fn)
		<-g.done
		if g.err != nil {
			return true, g.err
		}
		return false, err
	}
}

// run runs fn as a member of g and always hands g back.
func (db *DB) run(g *group, urgent storage.Urgency, fn func(storage.Tx) error) error {
	defer func() { g.back <- struct{}{} }()
	if g.b == nil {
		if broken := db.broken.Load(); broken != nil && !db.mend() {
			return *broken
		}
		b, err := db.bolt.Begin(true)
		if err != nil {
			return fmt.Errorf("beginning a transaction: %w", err)
		}
		g.b, g.tables.found = b, make([]table, 0, grouped)
		db.makeRoom(b.Size())
	}
	if db.room.full != nil && !db.room.admits(g, urgent) {
		return db.room.full
	}
	t := &tx{b: g.b, tables: &g.tables, changes: g.undo[:0]}
	defer t.end()
	kept := false
	defer func() {
		g.size, g.undo = g.size+t.size, t.changes
		if !kept {
			g.spoil = errUndo // stays, should undo panic
			g.spoil = t.undo()
		}
	}()
	if err := fn(t); err != nil {
		return err
	}
	kept = true
	if !t.wrote() {
		return nil
	}
	g.kept++
	g.need += t.need()
	g.floor = max(g.floor, floors[urgent])
	g.spoil = t.dropTables()
	return g.spoil
}

// commitGroups is the committer: it offers turns in a group, commits the group, and
// starts the next one.
func (db *DB) commitGroups() {
	defer close(db.stopped)
	crowd := false // the last group had several members
	for {
		g := &group{back: make(chan struct{}), done: make(chan struct{})}
		n, limit := 1, maxGroup
		select {
		case <-db.stop:
			return
		case db.turns <- g:
			<-g.back
		case db.alone <- g:
			<-g.back
			limit = 1
		}
		for n < limit && g.spoil == nil && db.offer(g, crowd || n > 1) {
			n++
		}
		crowd = n > 1
		g.err = db.finish(g)
		close(g.done)
	}
}

// offer lends g to a waiting Update, if there is one. In a crowd it yields to other
// goroutines before it gives up: writers that the last commit has just answered may be
// about to write again, and without them writers split into two groups that take turns
// in committing. A single writer makes no crowd and so never waits for this.
func (db *DB) offer(g *group, crowd bool) bool {
	select {
	case db.turns <- g:
		<-g.back
		return true
	default:
	}
	if !crowd {
		return false
	}
	runtime.Gosched()
	return db.offer(g, false)
}

// finish ends the group's transaction: by a commit if there is anything to
// commit.
func (db *DB) finish(g *group) error {
	switch {
	case g.b == nil:
		return nil
	case g.spoil != nil:
		return errors.Join(g.spoil, g.b.Rollback())
	case g.kept == 0:
		return g.b.Rollback()
	}
	if err := db.fits(g); err != nil {
		return errors.Join(err, g.b.Rollback())
	}
	id := g.b.ID()
	begin := time.Now()
	db.hide(g)
	if err := db.commit(g.b); err != nil {
		if err := db.settle(id, err); err != nil {
			return err
		}
	} else {
		db.show(id)
		if db.room.full == nil {
			db.setTrouble(nil)
		}
	}
	db.committing.Add(int64(time.Since(begin)))
	db.commits.Add(1)
	db.transactions.Add(uint64(g.kept))
	db.tell()
	return nil
}
