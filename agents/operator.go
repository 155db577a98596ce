package agents

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/format"
)

// operatorPrefix begins the names under which the certificates of operators are recorded.
// No agent's name has a slash.
const operatorPrefix = "operator/"

// OperatorName returns the name under which a person's certificates are recorded. They are
// in the same tables as those of agents, so that cutoffs, CRLs, OCSP and renewals follow the
// same rules.
func OperatorName(person string) Name { return Name(operatorPrefix + person) }

// Person returns the person whose certificates are recorded under n, if n is not an agent's
// name.
func (n Name) Person() (person string, ok bool) {
	return strings.CutPrefix(string(n), operatorPrefix)
}

// OfAgent reports whether n is the name of a registered agent: neither an operator's nor
// the authority's own.
func (n Name) OfAgent() bool {
	_, person := n.Person()
	return n != Authority && !person
}

// AddOperator makes the record that the certificates of a person belong to, and e what the
// person enrolls with.
func AddOperator(tx storage.Tx, person string, e Enrollment, now time.Time) error {
	n := OperatorName(person)
	if _, err := Get(tx, n); !errors.Is(err, ErrUnknown) {
		if err == nil {
			err = fmt.Errorf("%w: %s", errNameUsed, n)
		}
		return err
	}
	// An earlier version would take the record for an agent's.
	if err := format.Need(tx, format.Operators); err != nil {
		return err
	}
	return Agent{Name: n, State: Active, Created: now, Changed: now}.invite(tx, e)
}

// EndOperator ends all that a person has for good.
func EndOperator(tx storage.Tx, td TrustDomain, person string, now time.Time) error {
	_, err := Decommission(tx, td, OperatorName(person), CessationOfOperation, now)
	return err
}

// CutOperator kills the certificates that a person has, and the unused enrollment token.
func CutOperator(tx storage.Tx, person string, now time.Time) error {
	n := OperatorName(person)
	return errors.Join(CutAgent(tx, n, Cutoff{At: now, Reason: PrivilegeWithdrawn}), Uninvite(tx, n))
}

// Operators yields the records that certificates of operators belong to, by name.
func Operators(tx storage.Tx) iter.Seq2[Agent, error] { return table.Scan(tx, operatorPrefix) }
