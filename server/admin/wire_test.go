package admin_test

import (
	"reflect"
	"testing"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestEventsHaveTheMembersOfTheLog holds api.Event to audit.Event: package api
// imports nothing of ours, so it repeats the names.
func TestEventsHaveTheMembersOfTheLog(t *testing.T) {
	ours, theirs := reflect.TypeFor[audit.Event](), reflect.TypeFor[api.Event]()
	for i := range ours.NumField() {
		want := ours.Field(i)
		got, ok := theirs.FieldByName(want.Name)
		if !ok || got.Tag.Get("json") != want.Tag.Get("json") {
			t.Errorf("api.Event has %s %q, want %q as in the log", want.Name, got.Tag.Get("json"), want.Tag.Get("json"))
		}
	}
	if theirs.NumField() != ours.NumField() {
		t.Errorf("api.Event has %d fields, the log's has %d", theirs.NumField(), ours.NumField())
	}
}
