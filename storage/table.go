package storage

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
)

// A Table is a named table whose values are Vs, stored as V's own binary form
// if it has one (encoding.BinaryMarshaler on V and encoding.BinaryUnmarshaler
// on *V; the latter must not keep its argument) and as JSON otherwise.
type Table[V any] string

// Get returns the value of key, or an error that is [ErrNotFound].
func (t Table[V]) Get(tx Tx, key string) (V, error) {
	b, err := tx.Get(string(t), key)
	if err != nil {
		var none V
		return none, err
	}
	return t.decode(key, b)
}

// Has reports whether key is there.
func (t Table[V]) Has(tx Tx, key string) (bool, error) {
	_, err := tx.Get(string(t), key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Put sets the value of key.
func (t Table[V]) Put(tx Tx, key string, v V) error {
	b, err := encode(v)
	if err != nil {
		return fmt.Errorf("encoding %s %q: %w", string(t), key, err)
	}
	return tx.Put(string(t), key, b)
}

// Create sets the value of key, which must be new: else [ErrExists].
func (t Table[V]) Create(tx Tx, key string, v V) error {
	taken, err := t.Has(tx, key)
	if err != nil {
		return err
	}
	if taken {
		return ErrExists
	}
	return t.Put(tx, key, v)
}

// Delete removes key.
func (t Table[V]) Delete(tx Tx, key string) error { return tx.Delete(string(t), key) }

// Scan yields the values whose key begins with prefix, in the order of their
// keys. It ends after the first error.
func (t Table[V]) Scan(tx Tx, prefix string) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		for key, b := range tx.Scan(string(t), prefix) {
			v, err := t.decode(key, b)
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

func (t Table[V]) decode(key string, b []byte) (V, error) {
	var v V
	if err := decode(b, &v); err != nil {
		return v, fmt.Errorf("decoding %s %q: %w", string(t), key, err)
	}
	return v, nil
}

func encode(v any) ([]byte, error) {
	if m, ok := v.(encoding.BinaryMarshaler); ok {
		return m.MarshalBinary()
	}
	return json.Marshal(v)
}

func decode(b []byte, v any) error {
	if u, ok := v.(encoding.BinaryUnmarshaler); ok {
		return u.UnmarshalBinary(b)
	}
	return json.Unmarshal(b, v)
}
