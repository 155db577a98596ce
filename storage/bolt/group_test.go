package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"go.etcd.io/bbolt"

	"github.com/brevet-ca/brevet/storage"
)

var errFail = errors.New("this closure fails")

// A member is an Update and what became of it.
type member struct {
	fn  func(storage.Tx) error
	ctx context.Context // nil is the background
	err error
}

// inGroup opens a store and runs members as one group, in their order: they
// wait behind a closure until all do.
func inGroup(t *testing.T, path string, members []*member, prepare func(*DB), check func(*DB)) {
	synctest.Test(t, func(t *testing.T) {
		db, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if prepare != nil {
			prepare(db)
		}
		release := make(chan struct{})
		go func() {
			_ = db.Update(context.Background(), func(storage.Tx) error { <-release; return nil })
		}()
		for _, m := range members {
			synctest.Wait()
			go func() {
				defer func() {
					if r := recover(); r != nil {
						m.err = fmt.Errorf("panic: %v", r)
					}
				}()
				m.err = db.Update(cmp.Or(m.ctx, context.Background()), m.fn)
			}()
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		check(db)
	})
}

func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "brevet.db") }

func put(table, key, value string) func(storage.Tx) error {
	return func(tx storage.Tx) error { return tx.Put(table, key, []byte(value)) }
}

func then(fns ...func(storage.Tx) error) func(storage.Tx) error {
	return func(tx storage.Tx) error {
		for _, fn := range fns {
			if err := fn(tx); err != nil {
				return err
			}
		}
		return nil
	}
}

func fails(storage.Tx) error  { return errFail }
func panics(storage.Tx) error { panic(errFail) }

func drop(table string) func(storage.Tx) error {
	return func(tx storage.Tx) error { return tx.Drop(table) }
}

// holds fails unless the table holds the pairs given.
func holds(table string, want ...string) func(storage.Tx) error {
	return func(tx storage.Tx) error {
		var got []string
		for k, v := range tx.Scan(table, "") {
			got = append(got, k+"="+string(v))
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("table %q holds %q, want %q", table, got, want)
		}
		return nil
	}
}

func wantErrors(t *testing.T, members []*member, want ...string) {
	t.Helper()
	for i, m := range members {
		if fmt.Sprint(m.err) != want[i] {
			t.Errorf("member %d: %v, want %s", i, m.err, want[i])
		}
	}
}

func TestMembersShareACommit(t *testing.T) {
	members := []*member{
		{fn: put("t", "a", "1")},
		{fn: then(holds("t", "a=1"), put("t", "a", "x"), put("t", "b", "x"), put("new", "k", "x"), fails)},
		{fn: then(holds("t", "a=1"), holds("new"), put("t", "a", "x"), panics)},
		{fn: then(holds("t", "a=1"), put("t", "c", "3"))},
		{fn: then(drop("t"), fails)},
		{fn: then(holds("t", "a=1", "c=3"), put("u", "k", "v"))},
	}
	inGroup(t, newPath(t), members, nil, func(db *DB) {
		wantErrors(t, members, "<nil>", errFail.Error(), "panic: "+errFail.Error(), "<nil>", errFail.Error(), "<nil>")
		if err := db.View(context.Background(), then(holds("t", "a=1", "c=3"), holds("u", "k=v"), holds("new"))); err != nil {
			t.Error(err)
		}
		if s := db.Stats(); s.Commits != 1 || s.Transactions != 3 || s.Size == 0 {
			t.Errorf("stats %+v, want 1 commit of 3 transactions", s)
		}
	})
}

func TestDroppedTableMayBeWrittenByTheNextMember(t *testing.T) {
	many := func(tx storage.Tx) error {
		for i := range 1000 {
			if err := tx.Put("t", fmt.Sprint(i), make([]byte, 100)); err != nil {
				return err
			}
		}
		return nil
	}
	members := []*member{
		{fn: then(drop("t"), holds("t"))},
		{fn: then(holds("t"), put("t", "x", "x"), fails)},
		{fn: then(holds("t"), put("t", "k", "1"))},
		{fn: then(holds("t", "k=1"), many, drop("t"))},
		{fn: then(holds("t"), put("t", "k", "2"))},
	}
	path := newPath(t)
	prepare := func(db *DB) {
		if err := db.Update(context.Background(), many); err != nil {
			t.Fatal(err)
		}
	}
	inGroup(t, path, members, prepare, func(db *DB) {
		wantErrors(t, members, "<nil>", errFail.Error(), "<nil>", "<nil>", "<nil>")
		if err := db.View(context.Background(), holds("t", "k=2")); err != nil {
			t.Error(err)
		}
	})
	if err := Verify(path); err != nil {
		t.Error(err)
	}
}

func TestGroupThatWroteNothingIsNotCommitted(t *testing.T) {
	members := []*member{
		{fn: holds("t")}, {fn: then(put("t", "k", "v"), fails)}, {fn: then(put("t", "k", "v"), panics)},
		{fn: drop("never")}, {fn: then(drop("t"), holds("t"))}, {fn: func(tx storage.Tx) error { return tx.Delete("t", "k") }},
	}
	inGroup(t, newPath(t), members, nil, func(db *DB) {
		wantErrors(t, members, "<nil>", errFail.Error(), "panic: "+errFail.Error(), "<nil>", "<nil>", "<nil>")
		if s := db.Stats(); s.Commits != 0 || s.Transactions != 0 {
			t.Errorf("stats %+v, want no commit", s)
		}
	})
}

func TestGroupsAreBounded(t *testing.T) {
	var members []*member
	for i := range maxGroup + 44 {
		members = append(members, &member{fn: put("t", fmt.Sprint(i), "")})
	}
	inGroup(t, newPath(t), members, nil, func(db *DB) {
		for i, m := range members {
			if m.err != nil {
				t.Errorf("member %d: %v", i, m.err)
			}
		}
		if s := db.Stats(); s.Commits != 2 || s.Transactions != uint64(len(members)) {
			t.Errorf("stats %+v, want 2 commits of %d transactions", s, len(members))
		}
	})
}

func TestWaitingUpdateGivesUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := Open(newPath(t), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		ctx, cancel := context.WithCancel(context.Background())
		err = db.Update(context.Background(), func(tx storage.Tx) error {
			result := make(chan error)
			go func() { result <- db.Update(ctx, put("t", "late", "")) }()
			synctest.Wait()
			cancel()
			if err := <-result; !errors.Is(err, context.Canceled) {
				t.Errorf("Update whose context ended: %v", err)
			}
			return tx.Put("t", "k", nil)
		})
		if err != nil {
			t.Error(err)
		}
		if err := db.View(context.Background(), holds("t", "k=")); err != nil {
			t.Error(err)
		}
	})
}

// A lateContext is done when it is asked for the second time, but too late to
// have been heard.
type lateContext struct {
	context.Context
	asked *int
}

func (c lateContext) Err() error {
	if *c.asked++; *c.asked > 1 {
		return context.Canceled
	}
	return nil
}

func TestUpdateGivesBackATurnThatComesTooLate(t *testing.T) {
	db, err := Open(newPath(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(lateContext{context.Background(), new(int)}, put("t", "late", "")); !errors.Is(err, context.Canceled) {
		t.Errorf("Update: %v", err)
	}
	if err := db.Update(context.Background(), then(holds("t"), put("t", "k", ""))); err != nil {
		t.Error(err)
	}
}

func TestCloseWaitsForSeveralGroups(t *testing.T) {
	var members []*member
	for i := range 20 * maxGroup {
		members = append(members, &member{fn: put("t", fmt.Sprint(i), "")})
	}
	synctest.Test(t, func(t *testing.T) {
		db, err := Open(newPath(t), Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(context.Background(), func(storage.Tx) error {
			for _, m := range members {
				go func() { m.err = db.Update(context.Background(), m.fn) }()
			}
			synctest.Wait()
			go func() {
				if err := db.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}()
			synctest.Wait()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		synctest.Wait()
		for i, m := range members {
			if m.err != nil {
				t.Fatalf("member %d: %v", i, m.err)
			}
		}
		if got := db.Stats().Transactions; got != uint64(len(members)) {
			t.Errorf("%d transactions, want %d", got, len(members))
		}
	})
}

func TestCommitFailureReachesEveryMember(t *testing.T) {
	members := []*member{{fn: put("t", "a", "1")}, {fn: fails}, {fn: holds("t", "a=1")}, {fn: put("t", "b", "2")}}
	path := newPath(t)
	prepare := func(db *DB) {
		if err := db.Update(context.Background(), put("t", "k", "v")); err != nil {
			t.Fatal(err)
		}
		db.commit = func(b *bbolt.Tx) error {
			db.commit = (*bbolt.Tx).Commit
			return errors.Join(syscall.ENOSPC, b.Rollback())
		}
	}
	inGroup(t, path, members, prepare, func(db *DB) {
		for i, m := range members {
			if !errors.Is(m.err, syscall.ENOSPC) || !strings.HasPrefix(m.err.Error(), "committing: ") {
				t.Errorf("member %d: %v, want the commit's error", i, m.err)
			}
		}
		ctx := context.Background()
		if err := db.View(ctx, holds("t", "k=v")); err != nil {
			t.Error(err)
		}
		if err := db.Update(ctx, put("t", "l", "")); err != nil {
			t.Error(err)
		}
		if s := db.Stats(); s.Commits != 2 || s.Transactions != 2 {
			t.Errorf("stats %+v, want 2 commits of 2 transactions", s)
		}
	})
}
