package format

import (
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/storage"
)

// memory is a transaction over a map.
type memory map[string][]byte

func (m memory) Get(table, key string) ([]byte, error) {
	if v, ok := m[table+"/"+key]; ok {
		return v, nil
	}
	return nil, storage.ErrNotFound
}
func (m memory) Put(table, key string, v []byte) error               { m[table+"/"+key] = v; return nil }
func (m memory) Delete(table, key string) error                      { delete(m, table+"/"+key); return nil }
func (m memory) Scan(table, prefix string) iter.Seq2[string, []byte] { panic("not used") }
func (m memory) Drop(table string) error                             { panic("not used") }

func TestNewerStoreIsRefusedByName(t *testing.T) {
	m := memory{}
	if err := Check(m); err != nil {
		t.Errorf("a store that says nothing: %v", err)
	}
	table.Put(m, key, needs{latest + 1, "brevet 7.1"})
	var newer *NewerError
	if err := Check(m); !errors.As(err, &newer) || newer.Program != "brevet 7.1" {
		t.Errorf("got %v, want the name of the program", err)
	}
	if err := Need(m, Details); err != nil {
		t.Error(err)
	}
	if n, err := current(m); n.Program != "brevet 7.1" || err != nil {
		t.Errorf("Need lowered what the store needs to %+v, %v", n, err)
	}
}

func TestFirstRecordInTheNewFormLeavesANotice(t *testing.T) {
	m := memory{}
	for range 2 {
		if err := Need(m, Details); err != nil {
			t.Fatal(err)
		}
	}
	if _, left := m["keys/"+Notice]; !left || string(m["format/needs"]) != marked[Details] || !strings.HasSuffix(Notice, Details.program()+" or later") {
		t.Errorf("left is %q", m)
	}
	if err := Check(m); err != nil {
		t.Error(err)
	}
}
