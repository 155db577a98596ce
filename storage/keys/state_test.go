package keys

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// world is the state of each key that the test has; "" is unrecorded.
type world [4]State

// An op does something to one of the keys.
type op struct {
	verb string
	key  int
}

func (o op) run(tx storage.Tx, keys []Key) error {
	k := keys[o.key]
	var err error
	switch o.verb {
	case "promote":
		_, err = testPurposes.Promote(tx, k.ID, now.Add(time.Hour))
	case "remove":
		err = Remove(tx, k.ID)
	default: // a state to record it in
		_, err = testPurposes.Record(tx, k, State(o.verb), now)
	}
	return err
}

// expect is the rule, told a second time: what o makes of w, and what error.
// Keys 0 to 2 are rivals, key 3 is not a rival of them.
func (o op) expect(w world) (world, error) {
	peers, at := w[:3], o.key
	if o.key == 3 {
		peers, at = w[3:], 0
	}
	was, active := peers[at], slices.Index(peers, StateActive)
	switch {
	case (o.verb == "promote" || o.verb == "remove") && was == "":
		return w, storage.ErrNotFound
	case o.verb == "promote" && was == StateNext:
		if active >= 0 {
			peers[active] = StateRetired
		}
		peers[at] = StateActive
		return w, nil
	case o.verb == "remove" && was == StateRetired:
		peers[at] = ""
		return w, nil
	case o.verb == "promote" || o.verb == "remove":
		return w, ErrTransition
	case was != "":
		return w, storage.ErrExists
	case o.verb == "next", o.verb == "active" && active < 0:
		peers[at] = State(o.verb)
		return w, nil
	}
	return w, ErrTransition
}

// TestTransitions tries every operation in every state that four keys can
// reach together: three of a purpose and one of another, and three
// profile-issuers of an algorithm and one of another.
func TestTransitions(t *testing.T) {
	for name, other := range map[string]func(testing.TB) (mine, theirs Key){
		"purpose": func(t testing.TB) (mine, theirs Key) {
			mine, _ = freshKey(t, Issuer, Ed25519)
			theirs, _ = freshKey(t, Tokens, Ed25519)
			return mine, theirs
		},
		"algorithm": func(t testing.TB) (mine, theirs Key) {
			mine, _ = freshKey(t, ProfileIssuer, Ed25519)
			theirs, _ = freshKey(t, ProfileIssuer, ECDSAP256)
			return mine, theirs
		},
	} {
		t.Run(name, func(t *testing.T) {
			var keys []Key
			for range 3 {
				k, _ := other(t)
				keys = append(keys, k)
			}
			_, k := other(t)
			tryAll(t, append(keys, k))
		})
	}
}

func tryAll(t *testing.T, keys []Key) {
	db := openDB(t)
	rollback := errors.New("rolled back")
	paths := map[world][]op{{}: nil} // how each world is reached
	queue := []world{{}}
	for len(queue) > 0 {
		w := queue[0]
		queue = queue[1:]
		for key := range keys {
			for _, verb := range []string{"next", "active", "retired", "", "promote", "remove"} {
				o := op{verb, key}
				err := db.Update(context.Background(), func(tx storage.Tx) error {
					for _, step := range paths[w] {
						if err := step.run(tx, keys); err != nil {
							t.Fatalf("%v, after %v: %v", step, paths[w], err)
						}
					}
					want, wantErr := o.expect(w)
					if err := o.run(tx, keys); !errors.Is(err, wantErr) || (wantErr == nil) != (err == nil) {
						t.Errorf("%v in %q: got error %v, want %v", o, w, err, wantErr)
					}
					if got := observe(t, tx, keys); got != want {
						t.Errorf("%v in %q: got %q, want %q", o, w, got, want)
					}
					if _, known := paths[want]; !known {
						paths[want] = append(slices.Clone(paths[w]), o)
						queue = append(queue, want)
					}
					return rollback
				})
				if !errors.Is(err, rollback) {
					t.Fatal(err)
				}
			}
		}
	}
	// Until one is active, each is next or unrecorded. From then on one always
	// is, each other in any other state. The fourth has no other to retire it.
	if got, want := len(paths), (2*2*2+3*3*3)*3; got != want {
		t.Errorf("reached %d states, want %d", got, want)
	}
}

// observe reads the world from the store and checks that every view of it agrees.
func observe(t *testing.T, tx storage.Tx, keys []Key) world {
	t.Helper()
	var w world
	active := map[Purpose]string{}
	with := map[Algorithm]string{} // of profile-issuers
	all, err := testPurposes.List(tx)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		i := slices.IndexFunc(keys, func(one Key) bool { return one.ID == k.ID })
		w[i] = k.State
		if got, err := Get(tx, k.ID); err != nil || !reflect.DeepEqual(got, k) {
			t.Errorf("Get(%s) = %v, %v; List has %v", k.ID, got, err, k)
		}
		if k.Activated.IsZero() != (k.State == StateNext) || k.Retired.IsZero() != (k.State != StateRetired) {
			t.Errorf("a %s key was activated at %v and retired at %v", k.State, k.Activated, k.Retired)
		}
		switch {
		case k.State != StateActive:
		case k.Purpose == ProfileIssuer:
			if with[k.Algorithm] != "" {
				t.Errorf("two active %s keys of algorithm %s", k.Purpose, k.Algorithm)
			}
			with[k.Algorithm] = k.ID
		default:
			if active[k.Purpose] != "" {
				t.Errorf("two active %s keys", k.Purpose)
			}
			active[k.Purpose] = k.ID
		}
	}
	for _, a := range Algorithms() {
		k, err := ActiveWith(tx, ProfileIssuer, a)
		if k.ID != with[a] || (with[a] == "") != errors.Is(err, storage.ErrNotFound) {
			t.Errorf("ActiveWith(%s) = %q, %v; want %q", a, k.ID, err, with[a])
		}
	}
	if len(with) > 1 {
		if k, err := Active(tx, ProfileIssuer); !errors.Is(err, ErrInvalid) || k.ID != "" {
			t.Errorf("Active chose %s of %v: %v", k.ID, with, err)
		}
	}
	for _, id := range with {
		active[ProfileIssuer] = id
	}
	for _, p := range testPurposes.Names() {
		if p == ProfileIssuer && len(with) > 1 {
			continue
		}
		k, err := Active(tx, p)
		if k.ID != active[p] || (active[p] == "") != errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Active(%s) = %q, %v; want %q", p, k.ID, err, active[p])
		}
	}
	return w
}

// A key serves one purpose, and what a caller says of its past is not taken over.
func TestRecordTakesFreshKeys(t *testing.T) {
	db := openDB(t)
	k, _ := freshKey(t, Issuer, Ed25519)
	k.State, k.Activated, k.Retired = StateRetired, now, now
	var got Key
	update(t, db, func(tx storage.Tx) (err error) {
		got, err = testPurposes.Record(tx, k, StateNext, now)
		return err
	})
	if got.State != StateNext || !got.Activated.IsZero() || !got.Retired.IsZero() {
		t.Errorf("got %s, activated %v, retired %v; want a next key without a past", got.State, got.Activated, got.Retired)
	}
	k.Purpose = Tokens
	err := db.Update(context.Background(), func(tx storage.Tx) error {
		_, err := testPurposes.Record(tx, k, StateNext, now)
		return err
	})
	if !errors.Is(err, storage.ErrExists) {
		t.Errorf("a second purpose: got %v, want ErrExists", err)
	}
}

func TestListIsInOrder(t *testing.T) {
	db := openDB(t)
	var want []string
	for _, p := range []Purpose{Root, Tokens} {
		for i := range 8 {
			k, _ := freshKey(t, p, Ed25519)
			k.Created = now.Add(time.Duration(i) * time.Hour)
			want = append(want, k.ID)
			update(t, db, func(tx storage.Tx) error {
				_, err := testPurposes.Record(tx, k, StateNext, k.Created)
				return err
			})
		}
	}
	list := func(ps Purposes) (ids []string) {
		update(t, db, func(tx storage.Tx) error {
			keys, err := ps.List(tx)
			ids = nil
			for _, k := range keys {
				ids = append(ids, k.ID)
			}
			return err
		})
		return ids
	}
	if got := list(testPurposes); !slices.Equal(got, want) {
		t.Errorf("all: got %v, want %v", got, want)
	}
	if got := list(Purposes{{Purpose: Tokens}}); !slices.Equal(got, want[8:]) {
		t.Errorf("tokens: got %v, want %v", got, want[8:])
	}
	if got := list(Purposes{{Purpose: Audit}}); len(got) > 0 {
		t.Errorf("audit: got %v, want none", got)
	}
}

// A record that does not agree with itself is not stored, and neither is a second active key that got into the store somehow.
func TestInconsistentRecords(t *testing.T) {
	db := openDB(t)
	k, _ := freshKey(t, Issuer, ECDSAP256)
	other, _ := freshKey(t, Issuer, ECDSAP256)
	rsa := k
	rsa.Public = rsaSPKI(t)
	for what, bad := range map[string]Key{
		"nothing":           {},
		"purpose":           {ID: k.ID, Purpose: "../../etc", Algorithm: k.Algorithm, Public: k.Public},
		"algorithm":         {ID: k.ID, Purpose: Issuer, Algorithm: ECDSAP384, Public: k.Public},
		"identifier":        {ID: other.ID, Purpose: Issuer, Algorithm: k.Algorithm, Public: k.Public},
		"hostile path":      {ID: "../../../../../../../../../../etc/passwd", Purpose: Issuer, Algorithm: k.Algorithm, Public: k.Public},
		"upper case":        {ID: "ABCDEF" + k.ID[6:], Purpose: Issuer, Algorithm: k.Algorithm, Public: k.Public},
		"no public key":     {ID: k.ID, Purpose: Issuer, Algorithm: k.Algorithm},
		"unknown algorithm": rsa,
	} {
		err := db.Update(context.Background(), func(tx storage.Tx) error {
			_, err := testPurposes.Record(tx, bad, StateNext, now)
			return err
		})
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: Record: got %v, want ErrInvalid", what, err)
		}
	}
	update(t, db, func(tx storage.Tx) error {
		k.State, other.State = StateActive, StateActive
		return errors.Join(put(tx, k), put(tx, other))
	})
	err := db.View(context.Background(), func(tx storage.Tx) error {
		_, err := Active(tx, Issuer)
		return err
	})
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("two active keys: got %v, want ErrInvalid", err)
	}
	update(t, db, func(tx storage.Tx) error {
		k.Purpose, other.Purpose = ProfileIssuer, ProfileIssuer
		return errors.Join(put(tx, k), put(tx, other))
	})
	err = db.View(context.Background(), func(tx storage.Tx) error {
		_, err := ActiveWith(tx, ProfileIssuer, ECDSAP256)
		return err
	})
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("two active profile-issuers of one algorithm: got %v, want ErrInvalid", err)
	}
}
