package keys

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// testPurposes is a table like an authority's, without rules about algorithms.
var testPurposes = Purposes{
	{Purpose: Root}, {Purpose: Issuer}, {Purpose: ProfileIssuer, PerAlgorithm: true}, {Purpose: Tokens}, {Purpose: Audit},
}

// TestPurposeIsAddedInOnePlace: a purpose that this package has never heard of
// needs a line in the table, no more, for its keys to be made, recorded and promoted.
func TestPurposeIsAddedInOnePlace(t *testing.T) {
	purposes := append(slices.Clone(testPurposes), PurposeSpec{
		Purpose: "status-list", Algorithms: []Algorithm{Ed25519, ECDSAP384}, PerAlgorithm: true, Publishes: JWKS, Announced: time.Minute,
	})
	db := openDB(t)
	add := func(ps Purposes, a Algorithm, s State) (Key, error) {
		k, _, err := Trial("status-list", a, now)
		if err != nil {
			t.Fatal(err)
		}
		return k, db.Update(context.Background(), func(tx storage.Tx) error {
			_, err := ps.Record(tx, k, s, now)
			return err
		})
	}
	if _, err := add(testPurposes, Ed25519, StateActive); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "want one of root, issuer") {
		t.Errorf("a purpose that is not in the table: %v", err)
	}
	if _, err := add(purposes, ECDSAP256, StateActive); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "want one of ed25519 ecdsa-p384 for status-list") {
		t.Errorf("an algorithm that is not in the table: %v", err)
	}
	old, err1 := add(purposes, Ed25519, StateActive)
	other, err2 := add(purposes, ECDSAP384, StateActive)
	next, err3 := add(purposes, Ed25519, StateNext)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx storage.Tx) error {
		if _, err := purposes.Promote(tx, next.ID, now.Add(time.Minute-1)); !errors.Is(err, ErrTransition) || !strings.Contains(err.Error(), "may sign from") {
			t.Errorf("before it was announced for long enough: %v", err)
		}
		_, err := purposes.Promote(tx, next.ID, now.Add(time.Minute))
		return err
	})
	update(t, db, func(tx storage.Tx) error {
		all, err := purposes.With(func(s PurposeSpec) bool { return s.Publishes == JWKS }).List(tx)
		states := map[string]State{}
		for _, k := range all {
			states[k.ID] = k.State
		}
		if len(all) != 3 || states[old.ID] != StateRetired || states[other.ID] != StateActive || states[next.ID] != StateActive {
			t.Errorf("keys %v, want the first retired and the two others active", states)
		}
		return err
	})
}

// Names of files are made from purposes, so they are checked even where no table is
// at hand.
func TestPurposeNames(t *testing.T) {
	for _, p := range []Purpose{"", "../root", "Root", "root ", "root/x", "root1", Purpose(strings.Repeat("a", 31))} {
		if _, _, err := Trial(p, Ed25519, now); !errors.Is(err, ErrInvalid) {
			t.Errorf("a key for %q: %v, want ErrInvalid", p, err)
		}
	}
}
