package policy

import (
	"strconv"
	"strings"

	"github.com/brevet-ca/brevet/storage/audit"
)

// A Kind is how a principal is known.
type Kind string

const (
	KindUID    Kind = "uid"    // of the process at the other end of the operators' socket
	KindAgent  Kind = "agent"  // a registered agent that proved who it is
	KindSystem Kind = "system" // the server itself
	KindBearer Kind = "bearer" // somebody who is known only by what it presented
)

// A Principal is somebody who acts. It says who that is and which kinds of action
// it may ask for; [Point.Decide] decides about each one. The zero Principal may do
// nothing.
type Principal struct {
	Kind  Kind
	Actor string     // as the audit log names it
	Role  audit.Role // what it may do
}

var (
	// System is the server itself.
	System = Principal{KindSystem, "system", audit.System}
	// Anonymous is somebody who proved nothing.
	Anonymous = Bearer("anonymous")
)

// uidPrefix begins the actor of a KindUID, before the number.
const uidPrefix = "uid="

// UID is the operator whose process runs as uid.
func UID(uid uint32) Principal {
	return Principal{KindUID, uidPrefix + strconv.FormatUint(uint64(uid), 10), audit.Operator}
}

// Agent is the agent of a SPIFFE ID, which has proven to be it.
func Agent(spiffeID string) Principal { return Principal{KindAgent, spiffeID, audit.Agent} }

// Bearer is somebody who is known only by what it presented, such as an
// "enrollment token".
func Bearer(what string) Principal { return Principal{KindBearer, what, audit.Bearer} }

// trusted reports whether p is an operator or the server, whose identity is not in the store.
func (p Principal) trusted() bool { return p.Role&(audit.Operator|audit.System) != 0 }

// told reports whether the form of the actor says what kind of principal it is.
func (p Principal) told() bool {
	switch p.Kind {
	case KindUID:
		return strings.HasPrefix(p.Actor, uidPrefix)
	case KindAgent:
		return strings.HasPrefix(p.Actor, "spiffe://")
	case KindSystem, KindBearer:
		return true
	}
	return false
}
