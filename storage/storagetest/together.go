package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/brevet-ca/brevet/storage"
)

// number returns the number that key holds, or 0 if the key is absent.
func number(tx storage.Tx, table, key string) (int, error) {
	v, err := tx.Get(table, key)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(v))
}

func add(tx storage.Tx, table, key string, n int) (int, error) {
	old, err := number(tx, table, key)
	if err != nil {
		return 0, err
	}
	return old + n, tx.Put(table, key, strconv.AppendInt(nil, int64(old+n), 10))
}

func (s suite) snapshot(t *testing.T) {
	db := s.openNew(t)
	put(t, db, "t", "k", "before")
	view(t, db, func(tx storage.Tx) error {
		done := make(chan error)
		go func() {
			done <- db.Update(context.Background(), func(tx storage.Tx) error {
				return errors.Join(tx.Put("t", "k", []byte("after")), tx.Put("t", "l", nil), tx.Put("u", "k", nil))
			})
		}()
		if err := <-done; err != nil {
			return err
		}
		wantTable(t, db, "t", "k=after", "l=") // a View that begins now sees it
		return difference(tx, []string{"t", "u"}, content{"t": {"k": "before"}})
	})
}

// counter loses no increment, and shows each as soon as its Update returns.
func (s suite) counter(t *testing.T) {
	db := s.openNew(t)
	const writers, each = 16, 25
	var taken sync.Map
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				var mine int
				err := db.Update(context.Background(), func(tx storage.Tx) (err error) {
					mine, err = add(tx, "t", "n", 1)
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				if _, twice := taken.LoadOrStore(mine, true); twice {
					t.Errorf("two writers made the counter %d", mine)
				}
				err = db.View(context.Background(), func(tx storage.Tx) error {
					if n, err := number(tx, "t", "n"); err != nil || n < mine {
						return fmt.Errorf("the counter is %d after it was made %d: %v", n, mine, err)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	wantTable(t, db, "t", fmt.Sprintf("n=%d", writers*each))
}

// group lets updates that succeed, fail and panic wait for one another, so
// that an engine that commits them together has to tell them apart.
func (s suite) group(t *testing.T) {
	db := s.openNew(t)
	put(t, db, "t", "n", "0")
	const members = 30
	release := make(chan bool)
	var all sync.WaitGroup
	update := func(i int) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = r.(error)
			}
		}()
		return db.Update(context.Background(), func(tx storage.Tx) error {
			<-release
			n, err := add(tx, "t", "n", 1)
			if err != nil {
				return err
			}
			own := fmt.Sprintf("own%d", i)
			if err := errors.Join(tx.Put("t", fmt.Sprintf("k%02d", i), nil), tx.Put("last", "k", fmt.Append(nil, n)), tx.Put(own, "k", nil)); err != nil {
				return err
			}
			switch i % 5 {
			case 1:
				return errFail
			case 2:
				panic(errFail)
			case 3:
				return errors.Join(tx.Drop("last"), tx.Drop(own))
			}
			return nil
		})
	}
	for i := range members {
		all.Go(func() {
			err := update(i)
			if fails := i%5 == 1 || i%5 == 2; fails && !errors.Is(err, errFail) || !fails && err != nil {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	await()
	close(release)
	all.Wait()
	want := content{"t": {"n": strconv.Itoa(members / 5 * 3)}}
	tables := []string{"t"}
	for i := range members {
		own := fmt.Sprintf("own%d", i)
		tables = append(tables, own)
		switch i % 5 {
		case 0, 4:
			want[own] = map[string]string{"k": ""}
			fallthrough
		case 3:
			want["t"][fmt.Sprintf("k%02d", i)] = ""
		}
	}
	view(t, db, func(tx storage.Tx) error { return difference(tx, tables, want) })
}

const accounts, deposit = 10, 100

// balance fails unless the accounts hold together what was paid in.
func balance(tx storage.Tx) error {
	sum := 0
	for i := range accounts {
		n, err := number(tx, fmt.Sprintf("bank%d", i%3), strconv.Itoa(i))
		if err != nil {
			return err
		}
		sum += n
	}
	if sum != accounts*deposit {
		return fmt.Errorf("the accounts hold %d, want %d", sum, accounts*deposit)
	}
	return nil
}

// transfer moves money between two accounts, and fails now and then when it
// has moved half.
func transfer(tx storage.Tx) error {
	from, to := rand.IntN(accounts), rand.IntN(accounts)
	if err := balance(tx); err != nil {
		return err
	}
	if _, err := add(tx, fmt.Sprintf("bank%d", from%3), strconv.Itoa(from), -1); err != nil {
		return err
	}
	if rand.IntN(3) == 0 {
		return errFail
	}
	_, err := add(tx, fmt.Sprintf("bank%d", to%3), strconv.Itoa(to), 1)
	return err
}

// bank opens accounts and keeps transferring until stop is called.
func (s suite) bank(t *testing.T, db storage.DB, writers int) (stop func()) {
	update(t, db, func(tx storage.Tx) error {
		for i := range accounts {
			if _, err := add(tx, fmt.Sprintf("bank%d", i%3), strconv.Itoa(i), deposit); err != nil {
				return err
			}
		}
		return nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := db.Update(ctx, transfer); err != nil && !errors.Is(err, errFail) && !errors.Is(err, context.Canceled) {
					t.Error(err)
					return
				}
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

func (s suite) transfers(t *testing.T) {
	db := s.openNew(t)
	stop := s.bank(t, db, 8)
	for range 200 {
		if err := db.View(context.Background(), balance); err != nil {
			t.Error(err)
		}
	}
	stop()
	view(t, db, balance)
}

func (s suite) backup(t *testing.T) {
	db := s.openNew(t)
	big := bytes.Repeat([]byte("b"), 1<<20)
	update(t, db, func(tx storage.Tx) error { return errors.Join(tx.Put("t", "k", []byte("v")), tx.Put("t", "big", big)) })
	stop := s.bank(t, db, 4)
	defer stop()
	for range 5 {
		var copied bytes.Buffer
		place := s.place(t)
		if err := errors.Join(db.Backup(context.Background(), &copied), place.Restore(copied.Bytes())); err != nil {
			t.Fatal(err)
		}
		backup := open(t, place)
		view(t, backup, balance)
		view(t, backup, func(tx storage.Tx) error {
			return difference(tx, []string{"t", "u"}, content{"t": {"k": "v", "big": string(big)}})
		})
		put(t, backup, "t", "k", "of the copy")
	}
	wantTable(t, db, "u")
	if err := db.Backup(context.Background(), failingWriter{}); !errors.Is(err, errFail) {
		t.Errorf("Backup to a writer that fails: %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write(p []byte) (int, error) { return 0, errFail }

// changed checks that a caller that waits for a change hears of each commit and of
// the end, and of nothing else if the engine can tell.
func (s suite) changed(t *testing.T) {
	db := s.openNew(t)
	heard := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	_, tells := db.(storage.Notifier)
	for range 3 {
		first, second := storage.Changed(db), storage.Changed(db)
		view(t, db, func(storage.Tx) error { return nil })
		err := db.Update(context.Background(), func(tx storage.Tx) error { return errors.Join(tx.Put("t", "k", nil), errFail) })
		if !errors.Is(err, errFail) {
			t.Error(err)
		}
		if tells && (heard(first) || heard(second)) {
			t.Error("told of a change that nobody made")
		}
		put(t, db, "t", "k", "v")
		if tells && (!heard(first) || !heard(second)) {
			t.Error("Update returned before those who wait were told")
		}
		<-first
		<-second
	}
	last := storage.Changed(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	<-last
}
