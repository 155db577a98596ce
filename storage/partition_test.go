package storage

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestPartitionsAreNamedByTheHour, as package time writes it.
func TestPartitionsAreNamedByTheHour(t *testing.T) {
	zone := time.FixedZone("", 5*3600+1800)
	for range 20_000 {
		at := time.Unix(rand.Int64N(600_000_000_000)-100_000_000_000, 0).In(zone)
		if got, want := partition("p", at), "p/"+at.UTC().Format(hourFormat); got != want {
			t.Fatalf("%s: %s, want %s", at, got, want)
		}
	}
}
