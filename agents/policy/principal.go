package policy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/brevet-ca/brevet/agents"
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

	// Certificate is what a KindOperator showed; zero at the socket.
	Certificate agents.Credential
	// Token is one that a KindOperator presented beside the certificate; zero without one.
	Token agents.Credential
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

// CertifiedPerson is Person for somebody who showed a certificate of theirs.
func CertifiedPerson(n persons.Name, may persons.Role, shown agents.Credential) Principal {
	p := Person(n, may)
	p.Certificate = shown
	return p
}

// Limited is p, who showed a certificate, by a token that limits p to a role.
func (p Principal) Limited(may persons.Role, token agents.Credential) Principal {
	p.Operates, p.Token = min(p.Operates, may), token
	return p
}

// Own is p, who showed a certificate, as somebody who asks for a credential of their own.
func (p Principal) Own() Principal {
	p.Role = audit.Agent
	return p
}

// Holder is the agent or the person whose certificates are recorded under n, and who has
// proven to have the key of one. A person acts on their own certificates only.
func Holder(td agents.TrustDomain, n agents.Name) Principal {
	if person, ok := n.Person(); ok {
		return Principal{Kind: KindOperator, Actor: operatorPrefix + person, Role: audit.Agent, Person: persons.Name(person)}
	}
	return Agent(td.ID(n))
}

// Current returns p as the store knows it, whose standing s is. A person may do what their
// role on record allows, and no more than p did. It fails if the person is suspended or
// removed, or if the certificate or the token that they showed cannot be used.
func (p Principal) Current(tx storage.Tx, s *agents.Standing) (Principal, error) {
	if p.Kind != KindOperator {
		return p, nil
	}
	on, err := persons.Usable(tx, p.Person)
	if err != nil {
		return p, err
	}
	if p.Certificate != (agents.Credential{}) {
		if _, err := s.Check(p.Certificate); IsDenial(err) {
			// Not wrapped: the reason is about the operator, not about what they ask for.
			return p, fmt.Errorf("%w: %v", ErrCertificate, err)
		} else if err != nil {
			return p, err
		}
	}
	if p.Token != (agents.Credential{}) {
		if _, err := s.Check(p.Token); IsDenial(err) {
			return p, fmt.Errorf("%w: %v", ErrToken, err)
		} else if err != nil {
			return p, err
		}
	}
	if on.Role != 0 {
		p.Operates = min(p.Operates, on.Role)
	}
	return p, nil
}

// Stands returns nil if p is still who [Principal.Current] returned. The transaction that
// records what p does asks that, see [Point.Do].
func (p Principal) Stands(tx storage.Tx, s *agents.Standing) error {
	now, err := p.Current(tx, s)
	if err == nil && now != p {
		err = fmt.Errorf("%w: the role of %s is %s now", ErrOperatorRole, p.Person, now.Operates)
	}
	return err
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

// evidence is what an operator showed, if that was a certificate.
func (p Principal) evidence() audit.Evidence {
	if p.Certificate == (agents.Credential{}) {
		return audit.Evidence{}
	}
	if p.Token != (agents.Credential{}) {
		return audit.OperatorToken(p.Certificate.ID.String())
	}
	return audit.ClientCertificate(p.Certificate.ID.String())
}

// client reports whether p asks for itself, or says that it does: an agent, a bearer, or a
// person who renews a certificate of theirs.
func (p Principal) client() bool { return p.Kind != "" && !p.trusted() }

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
