package persons

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/format"
)

var (
	// ErrSuspended says that a person may not operate until an admin resumes them.
	ErrSuspended = agents.NewRefusal("operator_suspended", "denied: this operator is suspended", nil)
	// ErrRemoved says that a person may never operate again under this name.
	ErrRemoved = agents.NewRefusal("operator_removed", "denied: this operator was removed", ErrSuspended)
	// ErrAdded says that a person has been added already.
	ErrAdded = agents.NewRefusal("operator_known", "this operator has been added already", storage.ErrExists)
	// ErrUnknown says that a person was never added.
	ErrUnknown = agents.NewRefusal("operator_unknown", "there is no such operator", storage.ErrNotFound)
)

// A Person is what the store has of a person. It is stored as JSON: fields may be added, and
// none changes its meaning. A person who is not on record was never suspended, and operates
// only as a user of the machine whom brevet.yaml lists.
type Person struct {
	Name      Name      `json:"name"`
	Role      Role      `json:"role,omitempty"`   // of a person who was added, or see Limit
	Added     time.Time `json:"added,omitzero"`   // from then on they may have certificates
	Removed   time.Time `json:"removed,omitzero"` // from then on they may do nothing
	Link      []byte    `json:"link,omitempty"`   // hash of the one link by which they may register a passkey
	Passkeys  []Passkey `json:"passkeys,omitempty"`
	Suspended bool      `json:"suspended,omitempty"`
	Changed   time.Time `json:"changed,omitzero"` // when they were last suspended or resumed

	Challenges []Challenge `json:"challenges,omitempty"` // that they may answer with a passkey
}

// people holds the persons by name. Each request of an operator reads one.
var people = storage.NewMemo(storage.Table[Person]("persons"))

// Get returns the person of a name.
func Get(tx storage.Tx, n Name) (Person, error) {
	p, err := people.Get(tx, string(n))
	if errors.Is(err, storage.ErrNotFound) {
		return Person{Name: n}, nil
	}
	return p, err
}

// All yields the persons on record, by name.
func All(tx storage.Tx) iter.Seq2[Person, error] { return people.Scan(tx, "") }

// Usable returns a person who may operate now, or why they may not, which is [ErrSuspended].
func Usable(tx storage.Tx, n Name) (Person, error) {
	p, err := Get(tx, n)
	if err != nil {
		return p, err
	}
	return p, p.usable()
}

func (p Person) usable() error {
	switch {
	case !p.Removed.IsZero():
		return fmt.Errorf("%w: %s at %s; the name is not given out again", ErrRemoved, p.Name, p.Removed.UTC().Format(time.RFC3339))
	case p.Suspended:
		return fmt.Errorf("%w: %s since %s", ErrSuspended, p.Name, p.Changed.UTC().Format(time.RFC3339))
	}
	return nil
}

func (p Person) put(tx storage.Tx) error { return people.Put(tx, string(p.Name), p) }

// Add lets a person have certificates, of which e gives the first, and operate by them in
// a role. A name is given out once: the audit log means one person by it.
func Add(tx storage.Tx, n Name, r Role, e agents.Enrollment, now time.Time) (Person, error) {
	p, err := Usable(tx, n)
	if err == nil && !p.Added.IsZero() {
		err = fmt.Errorf("%w: %s at %s", ErrAdded, n, p.Added.UTC().Format(time.RFC3339))
	}
	if err != nil {
		return p, err
	}
	p.Role, p.Added = r, now.UTC()
	return p, errors.Join(p.put(tx), agents.AddOperator(tx, string(n), e, now))
}

// added returns a person who was added, whether or not they are suspended.
func added(tx storage.Tx, n Name) (Person, error) {
	p, err := Get(tx, n)
	switch {
	case err != nil:
	case p.Added.IsZero():
		err = fmt.Errorf("%w: %s was not added by brevet operator add; change those whom only brevet.yaml lists there", ErrUnknown, n)
	case !p.Removed.IsZero():
		err = p.usable()
	}
	return p, err
}

// Enroll makes e what a person enrolls with, in place of an earlier one. The certificates that
// they have live on.
func Enroll(tx storage.Tx, n Name, e agents.Enrollment, now time.Time) (Person, error) {
	p, err := added(tx, n)
	if err == nil {
		err = p.usable()
	}
	if err != nil {
		return p, err
	}
	_, err = agents.Reenroll(tx, agents.OperatorName(string(n)), e, now)
	return p, err
}

// SetRole gives a person another role, and returns the person and the role before.
func SetRole(tx storage.Tx, n Name, r Role) (p Person, before Role, err error) {
	if p, err = added(tx, n); err != nil {
		return p, 0, err
	}
	before, p.Role = p.Role, r
	if before == r {
		return p, before, nil
	}
	return p, before, p.put(tx)
}

// Remove ends a person, their certificates and their passkeys for good.
func Remove(tx storage.Tx, td agents.TrustDomain, n Name, now time.Time) (Person, error) {
	p, err := added(tx, n)
	if err != nil {
		return p, err
	}
	for _, k := range p.Passkeys {
		if p, err = p.without(tx, k.ID); err != nil {
			return p, err
		}
	}
	p.Removed, p.Link, p.Challenges = now.UTC(), nil, nil
	return p, errors.Join(p.put(tx), agents.EndOperator(tx, td, string(n), now))
}

// Limit has a person do no more than a role allows, whether or not they were added. A restore
// does that with what came after the backup. It reports whether that is new.
func Limit(tx storage.Tx, n Name, r Role) (bool, error) {
	p, err := Get(tx, n)
	if err != nil || p.Role != 0 && p.Role <= r {
		return false, err
	}
	p.Role = r
	return true, errors.Join(format.Need(tx, format.Operators), p.put(tx))
}

// RemoveForgotten is [Remove] for a person of whom the store does not know that they were added.
func RemoveForgotten(tx storage.Tx, n Name, now time.Time) error {
	p, err := Get(tx, n)
	if err != nil || !p.Removed.IsZero() {
		return err
	}
	p.Removed = now.UTC()
	return errors.Join(format.Need(tx, format.Operators), p.put(tx))
}

// Suspend has a person do nothing more, and kills the certificates that they have. It reports
// whether that is new.
func Suspend(tx storage.Tx, n Name, now time.Time) (Person, bool, error) {
	p, changed, err := suspended(tx, n, true, now)
	if err == nil && changed && !p.Added.IsZero() {
		err = agents.CutOperator(tx, string(n), now)
	}
	return p, changed, err
}

// Resume lets a suspended person operate again. Their certificates stay dead: they enroll
// again. It reports whether that is new.
func Resume(tx storage.Tx, n Name, now time.Time) (Person, bool, error) {
	return suspended(tx, n, false, now)
}

func suspended(tx storage.Tx, n Name, want bool, now time.Time) (Person, bool, error) {
	p, err := Get(tx, n)
	if err == nil && !p.Removed.IsZero() {
		err = p.usable()
	}
	if err != nil || p.Suspended == want {
		return p, false, err
	}
	p.Suspended, p.Changed, p.Link, p.Challenges = want, now.UTC(), nil, nil
	return p, true, p.put(tx)
}
