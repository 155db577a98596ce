package agents_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// verbs are all that can be done to an agent.
var verbs = map[string]func(t *testing.T, tx storage.Tx, n agents.Name, at time.Time) (agents.Agent, error){
	"add": func(t *testing.T, tx storage.Tx, n agents.Name, at time.Time) (agents.Agent, error) {
		return agents.Add(tx, td, n, agents.Change{Owner: new("team")}, invitation(t, at), at)
	},
	"set": func(_ *testing.T, tx storage.Tx, n agents.Name, at time.Time) (agents.Agent, error) {
		return agents.Set(tx, td, n, agents.Change{Purpose: new("another")}, at)
	},
	"suspend": func(_ *testing.T, tx storage.Tx, n agents.Name, at time.Time) (agents.Agent, error) {
		return agents.Suspend(tx, n, agents.KeyCompromise, at)
	},
	"resume": func(_ *testing.T, tx storage.Tx, n agents.Name, at time.Time) (agents.Agent, error) {
		return agents.Resume(tx, n, at)
	},
	"decommission": func(_ *testing.T, tx storage.Tx, n agents.Name, at time.Time) (agents.Agent, error) {
		return agents.Decommission(tx, td, n, agents.KeyCompromise, at)
	},
	"reenroll": func(t *testing.T, tx storage.Tx, n agents.Name, at time.Time) (agents.Agent, error) {
		return agents.Reenroll(tx, n, invitation(t, at), at)
	},
}

const unregistered agents.State = "unregistered"

// ways lead from nothing to each state.
var ways = map[agents.State][]string{
	unregistered:          nil,
	agents.Active:         {"add"},
	agents.Suspended:      {"add", "suspend"},
	agents.Decommissioned: {"add", "suspend", "decommission"},
}

// transitions is the table: the state that a verb leads to, or why not.
var transitions = map[agents.State]map[string]any{
	unregistered: {
		"add": agents.Active, "set": agents.ErrUnknown, "suspend": agents.ErrUnknown,
		"resume": agents.ErrUnknown, "decommission": agents.ErrUnknown, "reenroll": agents.ErrUnknown,
	},
	agents.Active: {
		"add": storage.ErrExists, "set": agents.Active, "suspend": agents.Suspended,
		"resume": already, "decommission": agents.Decommissioned, "reenroll": agents.Active,
	},
	agents.Suspended: {
		"add": storage.ErrExists, "set": agents.Suspended, "suspend": already,
		"resume": agents.Active, "decommission": agents.Decommissioned, "reenroll": agents.ErrTransition,
	},
	agents.Decommissioned: {
		"add": storage.ErrExists, "set": agents.ErrTransition, "suspend": agents.ErrTransition,
		"resume": agents.ErrTransition, "decommission": already, "reenroll": agents.ErrTransition,
	},
}

// already says that a verb succeeds and leaves the agent as it is.
const already = "already"

func TestTransitions(t *testing.T) {
	db := openDB(t)
	for from, row := range transitions {
		for verb, do := range verbs {
			t.Run(fmt.Sprintf("%s/%s", verb, from), func(t *testing.T) {
				try(t, db, func(tx storage.Tx) {
					for _, step := range ways[from] {
						if _, err := verbs[step](t, tx, "bot", now); err != nil {
							t.Fatal(err)
						}
					}
					before, _ := agents.Get(tx, "bot")
					later := now.Add(time.Minute)
					returned, err := do(t, tx, "bot", later)
					after, _ := agents.Get(tx, "bot")
					returned.Pending, returned.Binding, returned.Invited = after.Pending, after.Binding, after.Invited // whose hashes those are, is nobody's business
					if why, ok := row[verb].(error); ok {
						refused(t, verb, err, why)
						if !reflect.DeepEqual(before, after) {
							t.Errorf("refused, and yet %+v became %+v", before, after)
						}
						return
					}
					if row[verb] == already {
						if err != nil || !reflect.DeepEqual(before, after) || !reflect.DeepEqual(returned, after) {
							t.Errorf("got %v, %+v, returned %+v, want it as before", err, after, returned)
						}
						return
					}
					if err != nil || after.State != row[verb] || !reflect.DeepEqual(returned, after) || !after.Changed.Equal(later) {
						t.Errorf("got %v, %+v, returned %+v, want %s", err, after, returned, row[verb])
					}
				})
			})
		}
	}
}

// TestAuthorityIsNoAgentOfOperators: the server's own entry is made at its
// start, and operators can do nothing to it.
func TestAuthorityIsNoAgentOfOperators(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add := verbs["add"]
		if _, err := add(t, tx, agents.Authority, now); !errors.Is(err, agents.ErrInvalid) {
			t.Errorf("add: got %v", err)
		}
		for range 2 { // at each start
			if err := agents.AddAuthority(tx, td, agents.Change{Owner: new("brevet itself"), DNS: []string{"ca.example.com"}, IPs: []string{}}, now); err != nil {
				t.Fatal(err)
			}
		}
		for verb, do := range verbs {
			before := get(t, tx, agents.Authority)
			if _, err := do(t, tx, agents.Authority, now); !errors.Is(err, agents.ErrTransition) && !errors.Is(err, agents.ErrInvalid) {
				t.Errorf("%s: got %v", verb, err)
			}
			if after := get(t, tx, agents.Authority); !reflect.DeepEqual(before, after) {
				t.Errorf("%s changed %+v to %+v", verb, before, after)
			}
		}
	})
}

func TestExpiredAgent(t *testing.T) {
	within(t, func(tx storage.Tx) {
		a := add(t, tx, "bot", agents.Change{Expires: new(now.Add(time.Hour))})
		end := now.Add(time.Hour)
		if err := a.Usable(end.Add(-1)); err != nil {
			t.Errorf("just before its end: %v", err)
		}
		refused(t, "at its end", a.Usable(end), agents.ErrNotActive)
		_, err := agents.Reenroll(tx, "bot", invitation(t, end), end)
		refused(t, "reenroll", err, agents.ErrNotActive)
		if a, err = agents.Set(tx, td, "bot", agents.Change{Expires: new(time.Time{})}, end); err != nil || a.Usable(end.AddDate(10, 0, 0)) != nil {
			t.Errorf("without an end: %+v, %v", a, err)
		}
	})
}

// TestCompromiseIsRecordedLater: an agent is dead already when an operator learns that its
// keys are compromised.
func TestCompromiseIsRecordedLater(t *testing.T) {
	for state, verb := range map[agents.State]string{agents.Suspended: "suspend", agents.Decommissioned: "decommission", "between": "decommission"} {
		within(t, func(tx storage.Tx) {
			add(t, tx, "bot", agents.Change{})
			var err error
			if state == agents.Decommissioned {
				_, err = agents.Decommission(tx, td, "bot", agents.Superseded, now)
			} else {
				_, err = agents.Suspend(tx, "bot", agents.Superseded, now)
			}
			if err != nil {
				t.Fatal(err)
			}
			later := now.Add(time.Minute)
			if before, err := agents.NewStanding(tx, later).Compromised("bot", now); before || err != nil {
				t.Errorf("%s: compromised before (%v)", state, err)
			}
			if _, err := verbs[verb](t, tx, "bot", later); err != nil {
				t.Fatal(err)
			}
			if after, err := agents.NewStanding(tx, later).Compromised("bot", now); !after || err != nil {
				t.Errorf("%s: not compromised after %s (%v)", state, verb, err)
			}
		})
	}
}

func TestUnusedInvitation(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{})
		if _, err := agents.Reenroll(tx, "bot", invitation(t, now), now); err != nil {
			t.Fatal(err)
		}
		a := get(t, tx, "bot")
		if token, binding := a.Unused(now.Add(59 * time.Minute)); !token || !binding {
			t.Errorf("within the hour: got %t, %t", token, binding)
		}
		if token, binding := a.Unused(now.Add(time.Hour)); token || binding {
			t.Errorf("after it: got %t, %t", token, binding)
		}
		if err := agents.Uninvite(tx, "bot"); err != nil {
			t.Fatal(err)
		}
		if token, binding := get(t, tx, "bot").Unused(now); token || binding {
			t.Errorf("ended: got %t, %t", token, binding)
		}
	})
}

func TestAllAgentsByName(t *testing.T) {
	within(t, func(tx storage.Tx) {
		for _, n := range []agents.Name{"c", "a", "b-1", "b"} {
			add(t, tx, n, agents.Change{})
		}
		var got []agents.Name
		for a, err := range agents.All(tx) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, a.Name)
		}
		if want := []agents.Name{"a", "b", "b-1", "c"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
