package storage

import "sync"

// A Memo caches the decoded records of a table that is read much more often than it
// changes. It keeps the encoded bytes beside each decoded value, and each read compares
// them with the record, so no value is ever out of date. The values are shared: callers
// must not change them.
type Memo[V any] struct {
	Table[V]

	mu   sync.RWMutex
	last map[string]*decoded[V]
}

type decoded[V any] struct {
	raw   string
	value V
}

// maxMemo bounds how many records are cached; beyond it, the cache is cleared.
const maxMemo = 4096

// NewMemo returns a Memo of a table.
func NewMemo[V any](t Table[V]) *Memo[V] { return &Memo[V]{Table: t, last: map[string]*decoded[V]{}} }

// Get returns the value of key, or an error that is [ErrNotFound].
func (m *Memo[V]) Get(tx Tx, key string) (V, error) {
	v, _, err := m.Read(tx, key)
	return v, err
}

// Read is Get that also returns the stored form of the value. A caller that relied on
// the value compares the form later, to see whether the value has changed. It costs
// no more than Get.
func (m *Memo[V]) Read(tx Tx, key string) (V, string, error) {
	d, err := m.read(tx, key)
	if err != nil {
		var none V
		return none, "", err
	}
	return d.value, d.raw, nil
}

// Shared is Get for a value that is too large to copy.
func (m *Memo[V]) Shared(tx Tx, key string) (*V, error) {
	d, err := m.read(tx, key)
	if err != nil {
		return nil, err
	}
	return &d.value, nil
}

func (m *Memo[V]) read(tx Tx, key string) (*decoded[V], error) {
	b, err := tx.Get(string(m.Table), key)
	if err != nil {
		return nil, err
	}
	m.mu.RLock()
	d, known := m.last[key]
	m.mu.RUnlock()
	if known && d.raw == string(b) {
		return d, nil
	}
	d = &decoded[V]{raw: string(b)}
	if err := decode(string(m.Table), key, b, &d.value); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.last) >= maxMemo {
		clear(m.last)
	}
	m.last[key] = d
	return d, nil
}
