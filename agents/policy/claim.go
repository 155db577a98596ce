package policy

import (
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Claim says which agent a client proved to be, and how. Authenticators make claims on
// a snapshot. The certificate, key, account or token that proved it may end before the
// result is recorded, so [Point.Do] checks the claim again in the transaction that
// records. The zero Claim is refused.
type Claim struct {
	principal Principal
	agent     agents.Name
	proof     audit.Evidence
	check     Check
}

// A Check returns nil if what proved a claim still holds in tx, whose standing s is. If
// the proof can be used only once, the Check uses it up. A Check may run twice.
type Check func(tx storage.Tx, s *agents.Standing) error

// NewClaim returns the claim that p acts as the agent n. Only authenticators call it; a
// test lists them. check may be nil for operators and for the server, whose identity is not
// in the store.
func NewClaim(p Principal, n agents.Name, proof audit.Evidence, check Check) Claim {
	return Claim{p, n, proof, check}
}

// Alive is the Check of a client that proved to have the key of a certificate.
func Alive(c agents.Credential) Check {
	return func(_ storage.Tx, s *agents.Standing) error {
		_, err := s.Check(c)
		return err
	}
}

// By returns the claim with other evidence of how it was proven.
func (c Claim) By(proof audit.Evidence) Claim {
	c.proof = proof
	return c
}

// Principal returns who acts.
func (c Claim) Principal() Principal { return c.principal }

// Agent returns the agent that is claimed, or "" if an operator acts on no agent's behalf.
func (c Claim) Agent() agents.Name { return c.agent }

// Proof returns how the claim was proven.
func (c Claim) Proof() audit.Evidence { return c.proof }

// errUnclaimed says that a part of the server asks for something without a claim that it
// was proven to be allowed to. It is a mistake in the program.
var errUnclaimed = agents.NewRefusal("unclaimed", ErrDenied.Error()+": nobody proved to be the agent that this is for", ErrDenied)

// Check returns nil if the claim still holds in tx, whose standing s is. It uses up what
// can be used only once.
func (c Claim) Check(tx storage.Tx, s *agents.Standing) error {
	switch {
	case c.check != nil:
		return c.check(tx, s)
	case c.principal.trusted():
		return nil
	}
	return errUnclaimed
}

// claimed checks the claim of q in tx. Each request of an agent or a bearer needs a
// claim, and so does each credential. The other changes of operators and of the server
// need none.
//
// An operator who is a person must not be suspended there, nor have another role, and
// nor must a person who is to get a certificate.
func (q *Query) claimed(tx storage.Tx, s *agents.Standing) error {
	if err := q.Principal.Stands(tx, s); err != nil {
		return err
	}
	if person, ok := q.Agent.Person(); ok {
		if _, err := persons.Usable(tx, persons.Name(person)); err != nil {
			return err
		}
	}
	c := q.Claim
	switch {
	case c.principal == Principal{} && q.Principal.trusted() && !q.Action.Grants():
		return nil
	case c.principal != q.Principal, q.Agent != "" && c.agent != q.Agent:
		return fmt.Errorf("%w: %s by %s", errUnclaimed, q.Action, q.Principal.Actor)
	}
	return c.Check(tx, s)
}
