package agents

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/storage"
)

// Add registers a new agent as c says and makes e what it enrolls with.
// The name must never have been used. Composite keys among those of c need a
// [components.Clearance].
func Add(tx storage.Tx, td TrustDomain, n Name, c Change, e Enrollment, now time.Time, cleared ...components.Clearance) (Agent, error) {
	if n == Authority {
		return Agent{}, fmt.Errorf("%w agent name %q: it is the authority's own", ErrInvalid, n)
	}
	a, err := add(tx, td, n, c, now, cleared...)
	if err != nil {
		return a, err
	}
	return a, a.invite(tx, e)
}

// AddAuthority registers the authority itself, under the names of its HTTPS
// endpoint, or changes those of an earlier start.
func AddAuthority(tx storage.Tx, td TrustDomain, c Change, now time.Time) error {
	if _, err := Get(tx, Authority); errors.Is(err, ErrUnknown) {
		_, err := add(tx, td, Authority, c, now)
		return err
	}
	_, err := set(tx, td, Authority, c, now)
	return err
}

// errNameUsed says that an agent has or had the name.
var errNameUsed = NewRefusal("name_used", storage.ErrExists.Error(), storage.ErrExists)

func add(tx storage.Tx, td TrustDomain, n Name, c Change, now time.Time, cleared ...components.Clearance) (Agent, error) {
	if old, err := Get(tx, n); !errors.Is(err, ErrUnknown) {
		if err == nil {
			err = fmt.Errorf("%w: the name %s was given out at %s and is %s; a name is used only once", errNameUsed, n, old.Created.Format(time.RFC3339), old.State)
		}
		return Agent{}, err
	}
	if err := td.CheckName(n); err != nil {
		return Agent{}, err
	}
	a := Agent{Name: n, State: Active, Created: now}
	if err := c.apply(tx, td, &a, now, cleared...); err != nil {
		return a, err
	}
	return a, a.put(tx)
}

func (a Agent) put(tx storage.Tx) error { return table.Put(tx, string(a.Name), a) }

// Set changes a registered agent as c says. Its credentials live on,
// but introspection and renewal see its new scopes and names at once. For keys
// among what changes, see [Add].
func Set(tx storage.Tx, td TrustDomain, n Name, c Change, now time.Time, cleared ...components.Clearance) (Agent, error) {
	if err := mutable(n); err != nil {
		return Agent{}, err
	}
	return set(tx, td, n, c, now, cleared...)
}

func set(tx storage.Tx, td TrustDomain, n Name, c Change, now time.Time, cleared ...components.Clearance) (Agent, error) {
	a, err := Get(tx, n)
	if err != nil {
		return a, err
	}
	if a.State == Decommissioned {
		return a, a.refuse("changed")
	}
	if err := c.apply(tx, td, &a, now, cleared...); err != nil {
		return a, err
	}
	return a, a.put(tx)
}

// Suspend ends everything that the agent holds, its enrollment token and its
// binding too, and lets it obtain nothing more until it is resumed. An agent that is
// suspended already stays as it is, but what it had counts as compromised if that is the
// reason now.
func Suspend(tx storage.Tx, n Name, r Reason, now time.Time) (Agent, error) {
	a, err := change(tx, n, "suspended", Active, Suspended)
	if err != nil {
		return a, err
	}
	if a.State == Suspended {
		return a, a.compromised(tx, r, now)
	}
	a.State, a.Changed, a.Pending, a.Binding = Suspended, now, nil, nil
	return a, errors.Join(a.put(tx), CutAgent(tx, n, Cutoff{At: now, Reason: r}))
}

// Resume lets a suspended agent obtain credentials again. Those that it had
// stay dead: it enrolls anew. An active agent stays as it is.
func Resume(tx storage.Tx, n Name, now time.Time) (Agent, error) {
	a, err := change(tx, n, "resumed", Active, Suspended)
	if err != nil || a.State == Active {
		return a, err
	}
	a.State, a.Changed = Active, now
	return a, a.put(tx)
}

// Decommission ends the agent. It cannot come back. The DNS names and addresses that were
// registered for it are free again; its own name is not. For one that is decommissioned
// already, see [Suspend].
func Decommission(tx storage.Tx, td TrustDomain, n Name, r Reason, now time.Time) (Agent, error) {
	a, err := change(tx, n, "decommissioned", Active, Suspended, Decommissioned)
	if err != nil {
		return a, err
	}
	if a.State == Decommissioned {
		return a, a.compromised(tx, r, now)
	}
	if err := claim(tx, td, &a, nil); err != nil {
		return a, err
	}
	before := a.State
	a.State, a.Changed, a.Pending, a.Binding = Decommissioned, now, nil, nil
	if before == Suspended { // all is dead since then, and relying parties were told when and why
		return a, errors.Join(a.put(tx), a.compromised(tx, r, now))
	}
	return a, errors.Join(a.put(tx), CutAgent(tx, n, Cutoff{At: now, Reason: r}))
}

// compromised records that what an agent had is compromised, although it is dead already.
// Any other reason changes nothing: relying parties were told when it died, and why.
func (a Agent) compromised(tx storage.Tx, r Reason, now time.Time) error {
	if r != KeyCompromise {
		return nil
	}
	return CutAgent(tx, a.Name, Cutoff{At: now, Reason: r})
}

// Reenroll makes e what the agent may enroll with, in place of an earlier one.
// The agent's credentials live on. If it got no certificates because too many of its keys
// were compromised, it gets some again.
func Reenroll(tx storage.Tx, n Name, e Enrollment, now time.Time) (Agent, error) {
	a, err := change(tx, n, "enrolled", Active)
	if err != nil {
		return a, err
	}
	if err := a.Usable(now); err != nil {
		return a, err
	}
	a.Changed = now
	return a, errors.Join(a.invite(tx, e), compromisedCounts.Delete(tx, string(n)))
}

// change loads an agent, provided that it is in one of the states given. done names
// the change, for the error.
func change(tx storage.Tx, n Name, done string, from ...State) (Agent, error) {
	if err := mutable(n); err != nil {
		return Agent{}, err
	}
	a, err := Get(tx, n)
	if err != nil {
		return a, err
	}
	if !slices.Contains(from, a.State) {
		return a, a.refuse(done)
	}
	return a, nil
}

func mutable(n Name) error {
	if n == Authority {
		return fmt.Errorf("%w: %s is the authority itself; stop the server instead", ErrTransition, n)
	}
	return nil
}

func (a Agent) refuse(done string) error {
	return fmt.Errorf("%w: %s is %s and cannot be %s", ErrTransition, a.Name, a.State, done)
}
