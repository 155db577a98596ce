package storagetest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/brevet-ca/brevet/storage"
)

// TestMemory runs the suite over an engine that has no file and is no
// [storage.Notifier]. It runs each closure of an Update twice, as engines may, so
// the suite itself keeps to the rules of [storage.DB].
func TestMemory(t *testing.T) {
	Run(t, func(testing.TB) Place { return &memoryPlace{} })
}

// tables are what a store in memory holds. They are never changed, only replaced.
type tables map[string]map[string][]byte

func (all tables) clone() tables {
	c := tables{}
	for name, pairs := range all {
		c[name] = maps.Clone(pairs)
	}
	return c
}

type memoryPlace struct{ kept tables }

func (p *memoryPlace) Open() (storage.DB, error) { return &memory{place: p, now: p.kept.clone()}, nil }

func (p *memoryPlace) Restore(backup []byte) error { return json.Unmarshal(backup, &p.kept) }

type memory struct {
	place *memoryPlace

	writing sync.Mutex
	mu      sync.Mutex // what is below
	now     tables
	closed  bool
	users   sync.WaitGroup
}

// enter begins a call, which ends by users.Done.
func (m *memory) enter(ctx context.Context) (tables, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, storage.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.users.Add(1)
	return m.now, nil
}

func (m *memory) View(ctx context.Context, fn func(storage.Tx) error) error {
	now, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer m.users.Done()
	tx := &memoryTx{all: now}
	defer tx.end()
	return fn(tx)
}

func (m *memory) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if _, err := m.enter(ctx); err != nil {
		return err
	}
	defer m.users.Done()
	m.writing.Lock()
	defer m.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	var after tables
	for range 2 {
		after = m.now.clone()
		if err := m.run(after, fn); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = after
	return nil
}

func (m *memory) run(all tables, fn func(storage.Tx) error) error {
	tx := &memoryTx{all: all, writable: true, dropped: map[string]bool{}}
	defer tx.end()
	return fn(tx)
}

func (m *memory) Backup(ctx context.Context, w io.Writer) error {
	now, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer m.users.Done()
	return json.NewEncoder(w).Encode(now)
}

func (m *memory) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return storage.ErrClosed
	}
	m.closed = true
	m.mu.Unlock()
	m.users.Wait()
	m.place.kept = m.now
	return nil
}

var errMemory = errors.New("the transaction has ended, cannot write, or was given no name")

type memoryTx struct {
	all      tables // nil once the closure has returned
	writable bool
	dropped  map[string]bool
}

func (t *memoryTx) end() { t.all = nil }

func (t *memoryTx) Get(table, key string) ([]byte, error) {
	if t.all == nil {
		return nil, errMemory
	}
	if v, ok := t.all[table][key]; ok {
		return v, nil
	}
	return nil, storage.ErrNotFound
}

func (t *memoryTx) mayWrite(table string) error {
	switch {
	case t.all == nil, !t.writable:
		return errMemory
	case t.dropped[table]:
		return storage.ErrDropped
	}
	return nil
}

func (t *memoryTx) Put(table, key string, value []byte) error {
	if err := t.mayWrite(table); err != nil {
		return err
	}
	if table == "" || key == "" {
		return errMemory
	}
	if t.all[table] == nil {
		t.all[table] = map[string][]byte{}
	}
	t.all[table][key] = slices.Concat([]byte{}, value)
	return nil
}

func (t *memoryTx) Delete(table, key string) error {
	if err := t.mayWrite(table); err != nil {
		return err
	}
	delete(t.all[table], key)
	return nil
}

func (t *memoryTx) Scan(table, prefix string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, k := range slices.Sorted(maps.Keys(t.all[table])) {
			if strings.HasPrefix(k, prefix) && !yield(k, t.all[table][k]) {
				return
			}
		}
	}
}

func (t *memoryTx) Drop(table string) error {
	if err := t.mayWrite(table); errors.Is(err, storage.ErrDropped) {
		return nil
	} else if err != nil {
		return err
	}
	delete(t.all, table)
	t.dropped[table] = true
	return nil
}
