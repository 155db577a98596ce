// Package audit is the event log. Every decision of brevet is appended in the same
// transaction as the change that it allows, and is never changed again. The log is also
// the event stream: a component that reacts to events remembers a position and
// follows it from there: see [Follow].
//
// The log is a Merkle tree (RFC 6962, section 2.1, implemented by golang.org/x/mod's
// tlog). Hashes inside the database prove little, because an attacker who can write the
// file can recompute them. A signed checkpoint (https://c2sp.org/tlog-checkpoint) kept
// elsewhere proves everything before it. So [Dir.Verify] finds careless changes, removals
// and reordering from the hashes, and finds careful rewriting and truncation from the
// checkpoints. Nothing proves the events after the last checkpoint that the attacker
// could not reach. Witness cosignatures on checkpoints are ignored; tiles and RFC 6962's
// HTTP API are not implemented.
//
// A damaged log refuses new events, and so every change that must be recorded: see
// [TamperError].
package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/format"
)

// The tables. Each key of the log itself is a position of 8 bytes, big-endian, so that
// appends touch only the last page. Each value is the leaf hash of the event, then the
// hash of every subtree that this leaf completes, from the smallest, then the event as
// JSON: exactly the bytes that were hashed. This layout must never change; only the
// event may grow, by the rules of [Event].
const (
	table           = "audit"
	sizeTable       = "audit.size"
	sizeKey         = "size"
	checkpointTable = "audit.checkpoint"
	checkpointKey   = "latest"
)

// maxSize bounds every size that is read from the store or from a checkpoint. There will
// never be so many events, and sums of such sizes are far from overflowing (tlog's begin
// to at 1<<62).
const maxSize = 1 << 48

// usual is room for the JSON of most events.
const usual = 800

// Append adds e at the end of the log and returns it as recorded: with its position, in
// UTC, with overlong strings cut and malformed ones repaired. If it names more agents than
// one event holds, more events follow it: see [Details.Part]. The event is in the log
// only once the caller's transaction is committed.
func Append(tx storage.Tx, e Event) (Event, error) {
	first, more := e.split()
	recorded, err := add(tx, first)
	for _, e := range more {
		if err == nil {
			_, err = add(tx, e)
		}
	}
	return recorded, err
}

// add adds one event.
func add(tx storage.Tx, e Event) (Event, error) {
	if known[e.Action] == 0 {
		return Event{}, fmt.Errorf("recording event %q: there is no such action", e.Action)
	}
	size, err := Size(tx)
	if err != nil {
		return Event{}, err
	}
	e.Seq = size
	n := hashes(size)
	e, value, err := e.record(make([]byte, n*tlog.HashSize, n*tlog.HashSize+usual))
	if err != nil {
		return Event{}, fmt.Errorf("recording event %q: %w", e.Action, err)
	}
	if e.Details != nil && e.Details.Proxy != "" {
		if err := format.Need(tx, format.Proxies); err != nil {
			return Event{}, err
		}
	}
	if e.Details != nil || e.Decision == Ask {
		if err := format.Need(tx, format.Details); err != nil {
			return Event{}, err
		}
	}
	// If the size was lowered, we would overwrite an entry.
	k := key(size)
	if _, err := tx.Get(table, k); err == nil {
		return Event{}, added(size, size)
	} else if !errors.Is(err, storage.ErrNotFound) {
		return Event{}, err
	}

	h := tlog.RecordHash(value[n*tlog.HashSize:])
	copy(value, h[:])
	for level := range n - 1 {
		left, err := node(tx, level, size>>level-1)
		if err != nil {
			return Event{}, err
		}
		h = tlog.NodeHash(left, h)
		copy(value[(level+1)*tlog.HashSize:], h[:])
	}
	if err := tx.Put(table, k, value); err != nil {
		return Event{}, err
	}
	return e, tx.Put(sizeTable, sizeKey, binary.BigEndian.AppendUint64(nil, uint64(size+1)))
}

// Size returns how many events the log holds.
func Size(tx storage.Tx) (int64, error) {
	b, err := tx.Get(sizeTable, sizeKey)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(b) != 8 || binary.BigEndian.Uint64(b) > maxSize {
		return 0, &TamperError{Kind: Changed, Detail: "the log's size is not a number"}
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

func key(seq int64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(seq))
	return string(b[:])
}

// hashes returns how many hashes the record of seq begins with: one for its leaf and one
// for each trailing one bit of seq (see tlog.StoredHashes).
func hashes(seq int64) int { return 1 + bits.TrailingZeros64(^uint64(seq)) }

// node returns the hash of the n'th subtree of 1<<level leaves. It is stored in the
// record of the subtree's last leaf.
func node(tx storage.Tx, level int, n int64) (tlog.Hash, error) {
	seq := (n+1)<<level - 1
	value, err := tx.Get(table, key(seq))
	if errors.Is(err, storage.ErrNotFound) {
		return sealedNode(tx, level, n)
	}
	if err != nil {
		return tlog.Hash{}, err
	}
	if len(value) < hashes(seq)*tlog.HashSize {
		return tlog.Hash{}, changed(seq)
	}
	return tlog.Hash(value[level*tlog.HashSize:][:tlog.HashSize]), nil
}

// reader reads hashes by tlog's index of them.
func reader(tx storage.Tx) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		all := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			var err error
			level, n := tlog.SplitStoredHashIndex(index)
			if all[i], err = node(tx, level, n); err != nil {
				return nil, err
			}
		}
		return all, nil
	})
}

// root returns the root hash of the log at an earlier size.
func root(tx storage.Tx, size int64) (tlog.Hash, error) {
	return tlog.TreeHash(size, reader(tx))
}
