package storage

import "sync"

// A Memo reads a table whose records are read much more often than they
// change. It remembers what it decoded, by the bytes that it decoded: nothing
// in it can be out of date, since each read compares them with the record.
// What it returns is shared, and so is not changed by who gets it.
type Memo[V any] struct {
	Table[V]

	mu   sync.RWMutex
	last map[string]decoded[V]
}

type decoded[V any] struct {
	raw   string
	value V
}

// maxMemo bounds how many records are remembered; beyond it, all are forgotten.
const maxMemo = 4096

// NewMemo returns a Memo of a table.
func NewMemo[V any](t Table[V]) *Memo[V] { return &Memo[V]{Table: t, last: map[string]decoded[V]{}} }

// Get returns the value of key, or an error that is [ErrNotFound].
func (m *Memo[V]) Get(tx Tx, key string) (V, error) {
	b, err := tx.Get(string(m.Table), key)
	if err != nil {
		var none V
		return none, err
	}
	m.mu.RLock()
	d, known := m.last[key]
	m.mu.RUnlock()
	if known && d.raw == string(b) {
		return d.value, nil
	}
	v, err := m.decode(key, b)
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.last) >= maxMemo {
		clear(m.last)
	}
	m.last[key] = decoded[V]{string(b), v}
	return v, nil
}
