package persons_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents/persons"
)

// TestStoredForm: records of before, which have no role, read as those of persons who were
// never added.
func TestStoredForm(t *testing.T) {
	at := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	for text, want := range map[string]persons.Person{
		`{"name":"alice","suspended":true,"changed":"2026-03-14T15:09:26Z"}`:                                                                                 {Name: "alice", Suspended: true, Changed: at},
		`{"name":"alice","role":"security","added":"2026-03-14T15:09:26Z"}`:                                                                                  {Name: "alice", Role: persons.Security, Added: at},
		`{"name":"alice","role":"security","added":"2026-03-14T15:09:26Z","challenges":[{"nonce":"AQ==","digest":"Ag==","expires":"2026-03-14T15:09:26Z"}]}`: {Name: "alice", Role: persons.Security, Added: at, Challenges: []persons.Challenge{{Nonce: []byte{1}, Digest: []byte{2}, Expires: at}}},
		`{"name":"bob","role":"viewer","added":"2026-03-14T15:09:26Z","removed":"2026-03-14T15:09:26Z"}`:                                                     {Name: "bob", Role: persons.Viewer, Added: at, Removed: at},
	} {
		var got persons.Person
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %+v, %v", text, got, err)
		}
		if written, err := json.Marshal(want); string(written) != text || err != nil {
			t.Errorf("%+v is written as %s, %v", want, written, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"role":"king"}`), new(persons.Person)); err == nil {
		t.Error("a role that does not exist is read")
	}
}
