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

// The methods are thin: the compiler makes a copy of each for each V, and what they
// call is there once.

// Get returns the value of key, or an error that is [ErrNotFound].
func (t Table[V]) Get(tx Tx, key string) (v V, err error) {
	err = get(tx, string(t), key, &v)
	return v, err
}

// Has reports whether key is there.
func (t Table[V]) Has(tx Tx, key string) (bool, error) { return has(tx, string(t), key) }

// Put sets the value of key.
func (t Table[V]) Put(tx Tx, key string, v V) error { return put(tx, string(t), key, v) }

// Create sets the value of key, which must be new: else [ErrExists].
func (t Table[V]) Create(tx Tx, key string, v V) error {
	if err := absent(tx, string(t), key); err != nil {
		return err
	}
	return put(tx, string(t), key, v)
}

// Delete removes key.
func (t Table[V]) Delete(tx Tx, key string) error { return tx.Delete(string(t), key) }

// Scan yields the values whose key begins with prefix, in the order of their
// keys. It ends after the first error.
func (t Table[V]) Scan(tx Tx, prefix string) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		for key, b := range tx.Scan(string(t), prefix) {
			var v V
			err := decode(string(t), key, b, &v)
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

func get(tx Tx, table, key string, v any) error {
	b, err := tx.Get(table, key)
	if err != nil {
		return err
	}
	return decode(table, key, b, v)
}

func has(tx Tx, table, key string) (bool, error) {
	_, err := tx.Get(table, key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func absent(tx Tx, table, key string) error {
	taken, err := has(tx, table, key)
	if err == nil && taken {
		return ErrExists
	}
	return err
}

func put(tx Tx, table, key string, v any) error {
	b, err := encode(v)
	if err != nil {
		return fmt.Errorf("encoding %s %q: %w", table, key, err)
	}
	return tx.Put(table, key, b)
}

func encode(v any) ([]byte, error) {
	if m, ok := v.(encoding.BinaryMarshaler); ok {
		return m.MarshalBinary()
	}
	return json.Marshal(v)
}

// decode reads the value of key into v, a pointer.
func decode(table, key string, b []byte, v any) (err error) {
	if u, ok := v.(encoding.BinaryUnmarshaler); ok {
		err = u.UnmarshalBinary(b)
	} else {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return fmt.Errorf("decoding %s %q: %w", table, key, err)
	}
	return nil
}
