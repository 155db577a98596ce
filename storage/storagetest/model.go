package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// model runs random transactions, some of which fail, and compares what they
// see, and what the store holds after each, with maps. Each worker has tables
// of its own, while the transactions of all meet in the engine.
func (s suite) model(t *testing.T, workers int) {
	seed := uint64(time.Now().UnixNano())
	if fixed := os.Getenv("STORAGETEST_SEED"); fixed != "" {
		var err error
		if seed, err = strconv.ParseUint(fixed, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("STORAGETEST_SEED=%d", seed)
	steps := 400 / workers
	if testing.Short() {
		steps /= 4
	}
	place := s.place(t)
	for round := range 2 { // opened again, the store goes on
		db := open(t, place)
		var all sync.WaitGroup
		for i := range workers {
			all.Go(func() {
				m := newModel(seed, i)
				if round == 1 {
					m.run(t, nil, steps) // what the first round did
				}
				m.run(t, db, steps)
			})
		}
		all.Wait()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
}

type model struct {
	rand   *rand.Rand
	tables []string
	now    content
}

func newModel(seed uint64, worker int) *model {
	m := &model{rand: rand.New(rand.NewPCG(seed, uint64(worker))), now: content{}}
	for _, name := range []string{"a", "b", "c"} {
		m.tables = append(m.tables, fmt.Sprintf("%d/%s", worker, name))
	}
	return m
}

// run does n transactions; without a db it only follows what they would do.
func (m *model) run(t *testing.T, db storage.DB, n int) {
	ctx := context.Background()
	for step := range n {
		change := m.newChange()
		var err error
		if db != nil {
			err = catch(func() error { return db.Update(ctx, change.do) })
		}
		if change.result == nil {
			m.now = change.after
		}
		if db == nil {
			continue
		}
		if err == nil && change.result == nil || change.result != nil && errors.Is(err, change.result) {
			err = db.View(ctx, func(tx storage.Tx) error { return difference(tx, m.tables, m.now) })
		} else {
			err = fmt.Errorf("an Update returned %v, want %v", err, change.result)
		}
		if err != nil {
			t.Errorf("tables %q, step %d: %v", m.tables, step, err)
			return
		}
	}
}

// catch returns what fn panics with as its error.
func catch(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err, _ = r.(error)
		}
	}()
	return fn()
}

// A change is one transaction, decided beforehand so that it may run twice.
type change struct {
	steps  []func(storage.Tx) error
	after  content
	result error
	panics bool
}

func (c *change) do(tx storage.Tx) error {
	for _, step := range c.steps {
		if err := step(tx); err != nil {
			return err
		}
	}
	if c.panics {
		panic(c.result)
	}
	return c.result
}

func (m *model) newChange() *change {
	c := &change{after: content{}}
	for table, pairs := range m.now {
		c.after[table] = maps.Clone(pairs)
	}
	dropped := map[string]bool{}
	for range 1 + m.rand.IntN(12) {
		c.steps = append(c.steps, m.step(c.after, dropped))
	}
	if m.rand.IntN(4) == 0 {
		c.result, c.panics = errFail, m.rand.IntN(3) == 0
	}
	return c
}

// step returns a random step, having done to now what it will do.
func (m *model) step(now content, dropped map[string]bool) func(storage.Tx) error {
	table := m.tables[m.rand.IntN(len(m.tables))]
	switch dice := m.rand.IntN(100); {
	case dice < 45:
		return m.put(now, dropped, table, m.key(), m.value())
	case dice < 50: // keys that rise, enough for more than one page
		var puts []func(storage.Tx) error
		for i, from := 0, m.rand.IntN(1000); i < 100; i++ {
			puts = append(puts, m.put(now, dropped, table, fmt.Sprintf("r%04d", from+i), strings.Repeat("r", 100)))
		}
		return func(tx storage.Tx) error { return (&change{steps: puts}).do(tx) }
	case dice < 70:
		return m.delete(now, dropped, table, m.key())
	case dice < 73: // many at once
		var deletes []func(storage.Tx) error
		for key := range now[table] {
			deletes = append(deletes, m.delete(now, dropped, table, key))
		}
		return func(tx storage.Tx) error { return (&change{steps: deletes}).do(tx) }
	case dice < 76:
		delete(now, table)
		dropped[table] = true
		return func(tx storage.Tx) error { return tx.Drop(table) }
	case dice < 85:
		prefix := m.key()[:1]
		var want []string
		for _, key := range slices.Sorted(maps.Keys(now[table])) {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key+"="+now[table][key])
			}
		}
		return func(tx storage.Tx) error {
			if got := pairs(tx, table, prefix); !slices.Equal(got, want) {
				return fmt.Errorf("scan of %q, %q within the transaction: %d pairs, want %d or other values", table, prefix, len(got), len(want))
			}
			return nil
		}
	default:
		key := m.key()
		want, there := now[table][key]
		return func(tx storage.Tx) error {
			got, err := tx.Get(table, key)
			if there && (err != nil || !bytes.Equal(got, []byte(want))) || !there && !errors.Is(err, storage.ErrNotFound) {
				return fmt.Errorf("get of %q, %q within the transaction: %d bytes and error %v, want %d bytes (%v)", table, key, len(got), err, len(want), there)
			}
			return nil
		}
	}
}

func (m *model) put(now content, dropped map[string]bool, table, key, value string) func(storage.Tx) error {
	if dropped[table] {
		return func(tx storage.Tx) error { return wantDropped(tx.Put(table, key, []byte(value))) }
	}
	if now[table] == nil {
		now[table] = map[string]string{}
	}
	now[table][key] = value
	return func(tx storage.Tx) error { return tx.Put(table, key, []byte(value)) }
}

func (m *model) delete(now content, dropped map[string]bool, table, key string) func(storage.Tx) error {
	if dropped[table] {
		return func(tx storage.Tx) error { return wantDropped(tx.Delete(table, key)) }
	}
	delete(now[table], key)
	return func(tx storage.Tx) error { return tx.Delete(table, key) }
}

func wantDropped(err error) error {
	if !errors.Is(err, storage.ErrDropped) {
		return fmt.Errorf("writing to a dropped table: %v, want ErrDropped", err)
	}
	return nil
}

func (m *model) key() string {
	return string("kqr"[m.rand.IntN(3)]) + fmt.Sprintf("%04d", m.rand.IntN(50))
}

func (m *model) value() string {
	size := m.rand.IntN(300)
	if m.rand.IntN(20) == 0 {
		size = m.rand.IntN(20000)
	}
	return strings.Repeat(strconv.Itoa(m.rand.IntN(1000)+1), size)
}
