package agents

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A usage is how much an agent has of each kind: a few slots of what ends at about the
// same time, so that what has ended need not be looked for. Each issuance reads and writes
// one, in the transaction that records the credential.
type usage [timedKinds][]slot

// A slot is n things that have all ended at an instant.
type slot struct{ until, n uint32 } // until is in minutes since epoch

// usages holds the usage of each agent, by its name.
const usages = storage.Table[usage]("usage")

// usageVersion is the first octet of a stored usage. Then comes for each kind the number of
// slots in 16 bits, and two numbers of 32 bits for each slot. Version 1 has the kinds before
// [QuotaAssertions]. A change of layout takes a new version.
const usageVersion = 2

// slotOf returns the end of the slot for what ends at an instant: the longer it
// lasts, the longer the slots, so that there are few. Nothing lasts for centuries.
func slotOf(until, now time.Time) uint32 {
	width := time.Minute
	switch left := until.Sub(now); {
	case left > 48*time.Hour:
		width = 24 * time.Hour
	case left > time.Hour+time.Minute:
		width = time.Hour
	case left > 30*time.Minute:
		width = 5 * time.Minute
	}
	return uint32((until.Sub(epoch) + width - 1) / width * (width / time.Minute))
}

func minutes(t time.Time) uint32 { return uint32(t.Sub(epoch) / time.Minute) }

func readUsage(tx storage.Tx, n Name, now time.Time) (usage, error) {
	u, err := usages.Get(tx, string(n))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return u, err
	}
	for k := range u {
		u[k] = slices.DeleteFunc(u[k], func(s slot) bool { return s.until <= minutes(now) })
	}
	return u, nil
}

func (u *usage) sum(k QuotaKind) (n int64) {
	for _, s := range u[k] {
		n += int64(s.n)
	}
	return n
}

// add counts uses, and stores the result.
func (u *usage) add(tx storage.Tx, n Name, now time.Time, uses ...Use) error {
	for _, use := range uses {
		list, until := &u[use.Kind], slotOf(use.Until, now)
		if i := slices.IndexFunc(*list, func(s slot) bool { return s.until == until }); i >= 0 {
			(*list)[i].n++
		} else {
			*list = append(*list, slot{until, 1})
		}
	}
	return usages.Put(tx, string(n), *u)
}

// remove takes one use back, and stores the result. The slot is the first that may have
// counted it: it was chosen when more of the time was left, and so may be a longer one.
func (u *usage) remove(tx storage.Tx, n Name, use Use) error {
	var first *slot
	least := minutes(use.Until.Add(time.Minute - 1)) // slots do not end before what they count
	for i := range u[use.Kind] {
		if s := &u[use.Kind][i]; s.n > 0 && s.until >= least && (first == nil || s.until < first.until) {
			first = s
		}
	}
	if first == nil {
		return nil
	}
	first.n--
	return usages.Put(tx, string(n), *u)
}

// MarshalBinary returns the stored form.
func (u usage) MarshalBinary() ([]byte, error) {
	b := append(make([]byte, 0, 256), usageVersion)
	for _, list := range u {
		if len(list) > 1<<16-1 {
			return nil, fmt.Errorf("usage with %d slots", len(list))
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(list)))
		for _, s := range list {
			b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, s.until), s.n)
		}
	}
	return b, nil
}

var errUsage = errors.New("usage record is cut off, or goes on after its end")

// UnmarshalBinary reads what MarshalBinary wrote.
func (u *usage) UnmarshalBinary(b []byte) error {
	if len(b) == 0 || b[0] == 0 || b[0] > usageVersion {
		return fmt.Errorf("usage record begins with %x: this program reads versions 1 to %d", b[:min(1, len(b))], usageVersion)
	}
	stored := timedKinds
	if b[0] == 1 {
		stored = QuotaAssertions
	}
	b = b[1:]
	all := make([]slot, 0, len(b)/8+int(timedKinds)) // in one piece, with room to grow for each kind
	for k := range stored {
		if len(b) < 2 || len(b)-2 < 8*int(binary.BigEndian.Uint16(b)) {
			return errUsage
		}
		n, from := int(binary.BigEndian.Uint16(b)), len(all)
		for b = b[2:]; n > 0; n, b = n-1, b[8:] {
			all = append(all, slot{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])})
		}
		u[k] = all[from:len(all):min(len(all)+1, cap(all))]
		all = all[:min(len(all)+1, cap(all))]
	}
	if len(b) > 0 {
		return errUsage
	}
	return nil
}
