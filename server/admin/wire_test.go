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
	compare(t, reflect.TypeFor[audit.Event](), reflect.TypeFor[api.Event]())
}

func compare(t *testing.T, ours, theirs reflect.Type) {
	for i := range ours.NumField() {
		want := ours.Field(i)
		got, ok := theirs.FieldByName(want.Name)
		if !ok || got.Tag.Get("json") != want.Tag.Get("json") {
			t.Errorf("%s has %s %q, want %q as in the log", theirs, want.Name, got.Tag.Get("json"), want.Tag.Get("json"))
			continue
		}
		switch kind := want.Type.Kind(); {
		case kind == reflect.Pointer || kind == reflect.Slice && want.Type.Elem().Kind() == reflect.Struct:
			compare(t, want.Type.Elem(), got.Type.Elem())
		case got.Type.Kind() != kind:
			t.Errorf("%s.%s is a %s, want a %s", theirs, want.Name, got.Type, want.Type)
		}
	}
	if theirs.NumField() != ours.NumField() {
		t.Errorf("%s has %d fields, the log's has %d", theirs, theirs.NumField(), ours.NumField())
	}
}
