package policy

import (
	"strconv"
	"strings"

	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Kind is how a principal is known.
type Kind string

const (
	KindUID      Kind = "uid"      // of the process at the other end of the operators' socket
	KindOperator Kind = "operator" // a person who has a name
	KindAgent    Kind = "agent"    // a registered agent that proved who it is
	KindSystem   Kind = "system"   // the server itself
	KindBearer   Kind = "bearer"   // somebody who is known only by what it presented
)

// A Principal is somebody who acts. It says who that is and which kinds of action
// it may ask for; [Point.Decide] decides about each one. The zero Principal may do
// nothing.
type Principal struct {
	Kind     Kind
	Actor    string       // as the audit log names it
	Role     audit.Role   // what it may do
	Operates persons.Role // what an operator may do, see [MayOperate]
	Person   persons.Name // of a KindOperator
}

var (
	// System is the server itself.
	System = Principal{Kind: KindSystem, Actor: "system", Role: audit.System}
	// Anonymous is somebody who proved nothing.
	Anonymous = Bearer("anonymous")
)

// The beginnings of actors: of a KindUID before the number, of a KindOperator before the
// person's name.
const (
	uidPrefix      = "uid="
	operatorPrefix = "operator:"
)

// UID is the operator whose process runs as uid, which is root or the server's own user.
// Nothing is kept from them: they can read and write the store.
func UID(uid uint32) Principal { return Local(uidPrefix + strconv.FormatUint(uint64(uid), 10)) }

// Local is UID for a program in the authority's directory that says who it is.
func Local(actor string) Principal {
	return Principal{Kind: KindUID, Actor: actor, Role: audit.Operator, Operates: persons.Admin}
}

// Person is an operator who has a name, and may do what the role allows.
func Person(n persons.Name, may persons.Role) Principal {
	return Principal{Kind: KindOperator, Actor: operatorPrefix + string(n), Role: audit.Operator, Operates: may, Person: n}
}

// Stands returns nil unless p is a person who is suspended in tx. The transaction that
// records what p does asks again, see [Point.Do].
func (p Principal) Stands(tx storage.Tx) error {
	if p.Kind != KindOperator {
		return nil
	}
	return persons.Usable(tx, p.Person)
}

// Agent is the agent of a SPIFFE ID, which has proven to be it.
func Agent(spiffeID string) Principal {
	return Principal{Kind: KindAgent, Actor: spiffeID, Role: audit.Agent}
}

// Bearer is somebody who is known only by what it presented, such as an
// "enrollment token".
func Bearer(what string) Principal {
	return Principal{Kind: KindBearer, Actor: what, Role: audit.Bearer}
}

// trusted reports whether p is an operator or the server, whose identity is not in the store.
func (p Principal) trusted() bool { return p.Role&(audit.Operator|audit.System) != 0 }

// told reports whether the form of the actor says what kind of principal it is.
func (p Principal) told() bool {
	switch p.Kind {
	case KindUID:
		return strings.HasPrefix(p.Actor, uidPrefix)
	case KindOperator:
		return strings.HasPrefix(p.Actor, operatorPrefix)
	case KindAgent:
		return strings.HasPrefix(p.Actor, "spiffe://")
	case KindSystem, KindBearer:
		return true
	}
	return false
}
