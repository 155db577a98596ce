package storage

import (
	"fmt"
	"iter"
	"strings"
	"time"
)

// A Partitioned table holds records that expire. Records that expire in the same hour
// are in one table, which is dropped as a whole once the hour is past. So the store
// holds only what is alive, and no sweep reads or deletes single records. Keys should
// rise with time, so that a commit touches few pages.
type Partitioned[V any] string

// partitions names each partition that exists, keyed by its table.
const partitions = Table[struct{}]("partitions")

const hourFormat = "2006010215"

func (p Partitioned[V]) table(expires time.Time) Table[V] {
	var name [64]byte
	return Table[V](expires.UTC().AppendFormat(append(append(name[:0], p...), '/'), hourFormat))
}

// Put sets the value of key, which expires at the instant given.
func (p Partitioned[V]) Put(tx Tx, expires time.Time, key string, v V) error {
	t := p.table(expires)
	known, err := partitions.Has(tx, string(t))
	if err != nil {
		return err
	}
	if !known {
		if err := partitions.Put(tx, string(t), struct{}{}); err != nil {
			return err
		}
	}
	return t.Put(tx, key, v)
}

// Create is Put for a key that must be new: else [ErrExists].
func (p Partitioned[V]) Create(tx Tx, expires time.Time, key string, v V) error {
	taken, err := p.table(expires).Has(tx, key)
	if err != nil {
		return err
	}
	if taken {
		return ErrExists
	}
	return p.Put(tx, expires, key, v)
}

// Get returns the value of key, which was put with the same expiry hour.
func (p Partitioned[V]) Get(tx Tx, expires time.Time, key string) (V, error) {
	return p.table(expires).Get(tx, key)
}

// Delete removes key, which was put with the same expiry hour.
func (p Partitioned[V]) Delete(tx Tx, expires time.Time, key string) error {
	return p.table(expires).Delete(tx, key)
}

// Since yields the records that expire in the hour of from or later, hour by
// hour, and within one by key. Some may have expired before from. It ends
// after the first error.
func (p Partitioned[V]) Since(tx Tx, from time.Time) iter.Seq2[V, error] {
	return p.SincePrefix(tx, from, "")
}

// SincePrefix is Since for the records whose key begins with prefix.
func (p Partitioned[V]) SincePrefix(tx Tx, from time.Time, prefix string) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		first := string(p.table(from))
		for name := range tx.Scan(string(partitions), string(p)+"/") {
			if name < first {
				continue
			}
			for v, err := range Table[V](name).Scan(tx, prefix) {
				if !yield(v, err) || err != nil {
					return
				}
			}
		}
	}
}

// Ended returns the partitions, of every partitioned table, whose hour had
// passed at the instant given: what [DropPartition] may drop.
func Ended(tx Tx, at time.Time) ([]string, error) {
	now := at.UTC().Format(hourFormat)
	var ended []string
	for name := range tx.Scan(string(partitions), "") {
		_, hour, ok := strings.Cut(name, "/")
		if !ok || len(hour) != len(hourFormat) {
			return nil, fmt.Errorf("partition %q has no hour in its name", name)
		}
		if hour < now {
			ended = append(ended, name)
		}
	}
	return ended, nil
}

// DropPartition removes a partition that [Ended] named, and its records.
func DropPartition(tx Tx, name string) error {
	if err := tx.Drop(name); err != nil {
		return err
	}
	return partitions.Delete(tx, name)
}
