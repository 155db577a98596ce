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

// partition returns the table of what expires in the hour given.
func partition(p string, expires time.Time) string {
	var name [64]byte
	b := append(append(name[:0], p...), '/')
	expires = expires.UTC()
	year, month, day := expires.Date()
	if year < 0 || year > 9999 {
		return string(expires.AppendFormat(b, hourFormat))
	}
	for _, n := range [...]int{year / 100, year % 100, int(month), day, expires.Hour()} { // as in hourFormat, which is slow
		b = append(b, byte('0'+n/10), byte('0'+n%10))
	}
	return string(b)
}

// Put sets the value of key, which expires at the instant given.
func (p Partitioned[V]) Put(tx Tx, expires time.Time, key string, v V) error {
	return putIn(tx, partition(string(p), expires), key, v)
}

func putIn(tx Tx, table, key string, v any) error {
	known, err := partitions.Has(tx, table)
	if err != nil {
		return err
	}
	if !known {
		if err := partitions.Put(tx, table, struct{}{}); err != nil {
			return err
		}
	}
	return put(tx, table, key, v)
}

// Create is Put for a key that must be new: else [ErrExists].
func (p Partitioned[V]) Create(tx Tx, expires time.Time, key string, v V) error {
	table := partition(string(p), expires)
	if err := absent(tx, table, key); err != nil {
		return err
	}
	return putIn(tx, table, key, v)
}

// Get returns the value of key, which was put with the same expiry hour.
func (p Partitioned[V]) Get(tx Tx, expires time.Time, key string) (v V, err error) {
	err = get(tx, partition(string(p), expires), key, &v)
	return v, err
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
		for name := range since(tx, string(p), from) {
			for v, err := range Table[V](name).Scan(tx, prefix) {
				if !yield(v, err) || err != nil {
					return
				}
			}
		}
	}
}

// since yields the partitions of the hour of from and later.
func since(tx Tx, p string, from time.Time) iter.Seq[string] {
	return func(yield func(string) bool) {
		first := partition(p, from)
		for name := range tx.Scan(string(partitions), p+"/") {
			if name >= first && !yield(name) {
				return
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
