package components

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
)

// ends lists the component keys of certified composites in the order in which the
// certificates expire: its keys are the second, big-endian, then the component.
// Only forget reads it.
const ends = storage.Table[struct{}]("components.ends")

func endKey(until time.Time, id [sha256.Size]byte) string {
	return string(append(binary.BigEndian.AppendUint64(nil, uint64(until.Unix())), id[:]...))
}

// maxForget is how many ends one certification removes at most. It adds two, so the
// index shrinks to the live entries while composites are certified, and does not grow
// otherwise.
const maxForget = 8

// forget removes expired entries, the earliest first. It waits for [clock.Tolerance],
// because the clock may have been a little ahead.
func forget(tx storage.Tx, now time.Time) error {
	limit := endKey(now.Add(-clock.Tolerance), [sha256.Size]byte{})
	var over []string
	for key := range tx.Scan(string(ends), "") {
		if len(over) == maxForget || key >= limit {
			break
		}
		over = append(over, key)
	}
	for _, key := range over {
		if len(key) != len(limit) {
			return fmt.Errorf("the end of a component has a key of %d octets", len(key))
		}
		if err := ends.Delete(tx, key); err != nil {
			return err
		}
		id := key[len(key)-sha256.Size:]
		e, err := table.Get(tx, id)
		if err == nil && !e.live(now) {
			err = table.Delete(tx, id)
		}
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	return nil
}
