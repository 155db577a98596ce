package relying_test

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/relying"
	"github.com/brevet-ca/brevet/storage"
)

// TestStrangersLeaveNoWork: a party that was forgotten before being stored costs neither
// memory until the next commit nor a deletion in it.
func TestStrangersLeaveNoWork(t *testing.T) {
	db := open(t)
	r := load(t, db)
	stored := func() relying.Changes {
		for i := range 20_000 {
			r.Note(relying.Observation{Address: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Use: relying.CRL, At: start.Add(time.Duration(i) * time.Second)})
		}
		return r.Changes(start, false)
	}
	for _, most := range []int{0, 2048} { // none was stored, then those of the first commit
		c := stored()
		n := 0
		for batch := range c.Batches() {
			counted := &writes{}
			err := db.Update(context.Background(), func(tx storage.Tx) error { *counted = writes{Tx: tx}; return batch.Save(counted) })
			if n += counted.deletions; err != nil {
				t.Error(err)
			}
		}
		if n > most {
			t.Errorf("%d deletions, want at most %d", n, most)
		}
	}
	if a, b := r.All(), load(t, db).All(); !reflect.DeepEqual(a, b) {
		t.Errorf("%d are remembered, %d stored", len(a), len(b))
	}
}

// writes counts those of one transaction.
type writes struct {
	storage.Tx
	n, deletions int
}

func (w *writes) Put(table, key string, value []byte) error {
	w.n++
	return w.Tx.Put(table, key, value)
}

func (w *writes) Delete(table, key string) error {
	w.n++
	w.deletions++
	return w.Tx.Delete(table, key)
}

// TestManyAreStoredInBatches: a thousand agents that are seen at once do not make
// everybody who issues or revokes wait for one large transaction.
func TestManyAreStoredInBatches(t *testing.T) {
	db := open(t)
	r := load(t, db)
	note := func(name string) {
		for i := range 1000 {
			r.Note(relying.Observation{Agent: agents.Name(fmt.Sprintf(name, i)), Use: relying.Token, At: start})
		}
	}
	note("first-%d")
	save(t, db, r.Changes(start, false))
	later := start.Add(relying.Memory + time.Second)
	first := r.Changes(later, false) // all to be removed
	note("second-%d")
	for _, c := range []relying.Changes{first, r.Changes(start, false)} {
		n := 0
		for batch := range c.Batches() {
			n++
			counted := &writes{}
			err := db.Update(context.Background(), func(tx storage.Tx) error { *counted = writes{Tx: tx}; return batch.Save(counted) })
			if counted.n > 256 || err != nil {
				t.Errorf("%d writes in one transaction; %v", counted.n, err)
			}
		}
		if n != 4 {
			t.Errorf("%d transactions, want 4", n)
		}
	}
	if got := load(t, db).All(); len(got) != 1000 || !strings.HasPrefix(got[0].Who, "second-") {
		t.Errorf("%d are stored: %+v", len(got), got[:1])
	}
}

// TestFailedSaveIsTriedAgain, also for a party that does not come back.
func TestFailedSaveIsTriedAgain(t *testing.T) {
	db := open(t)
	r := load(t, db)
	r.Note(relying.Observation{Agent: "weekly", Use: relying.Token, At: start})
	full := r.Changes(start, false)
	r.Failed(full)
	save(t, db, r.Changes(start.Add(time.Minute), false))
	if got := load(t, db).All(); len(got) != 1 {
		t.Errorf("%d are stored, want the one that a full disk refused before", len(got))
	}
}
