package strict_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// TestPresent: null and the zero value of each type are as good as nothing.
func TestPresent(t *testing.T) {
	for _, value := range []string{
		`null`, `""`, `0`, `-0`, `0.0`, `false`, `[]`, `[ ]`, `{}`, `"0001-01-01T00:00:00Z"`,
		`{"protected":"","payload":"","signature":""}`, `{"a":{"b":[]}}`,
	} {
		o, err := strict.ParseObject([]byte(`{"a":` + value + `,"b":1}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Collect(maps.Keys(o.Present())); !slices.Equal(got, []string{"b"}) {
			t.Errorf("%s counts as present", value)
		}
	}
	for _, value := range []string{`"x"`, `" "`, `1`, `true`, `[""]`, `[null]`, `{"a":"x"}`, `"0001-01-01T00:00:01Z"`, `1e999`} {
		o, err := strict.ParseObject([]byte(`{"a":` + value + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if !o.Present().Has("a") {
			t.Errorf("%s counts as absent", value)
		}
	}
}
