package pkix

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxComparisons bounds the names of one certificate times the constraints of one CA
// above it.
const maxComparisons = 100_000

// A generalName is one of RFC 5280, section 4.2.1.6.
type generalName struct {
	form  uint8
	value []byte
}

// constraints are those of one CA on the names below it (RFC 5280, section 4.2.1.10).
type constraints struct{ permitted, excluded []generalName }

// checkNames checks the name constraints of every CA of path against all names below
// it. As RFC 5280, section 6.1.3, b, has it, a self-issued CA in between is exempt.
func checkNames(path []*Certificate) error {
	for i := len(path) - 1; i > 0; i-- {
		e := path[i].extension(oidNameConstraints)
		if e == nil {
			continue
		}
		limits, err := parseConstraints(e.Value)
		if err != nil {
			return fmt.Errorf("name constraints of %s: %w", path[i].name(), err)
		}
		for j, c := range path[:i] {
			if j > 0 && c.selfIssued() {
				continue
			}
			if err := limits.checkAll(c); err != nil {
				return fmt.Errorf("name constraints of %s on %s: %w", path[i].name(), c.name(), err)
			}
		}
	}
	return nil
}

func (l *constraints) checkAll(c *Certificate) error {
	names, err := c.names()
	if err != nil {
		return err
	}
	if len(names)*(len(l.permitted)+len(l.excluded)) > maxComparisons {
		return errors.New("too many names to compare")
	}
	for _, n := range names {
		if err := l.check(n); err != nil {
			return err
		}
	}
	return nil
}

// check checks one name. Constraints on names of another form say nothing about it.
func (l *constraints) check(n generalName) error {
	constrained, allowed := false, false
	for _, base := range l.permitted {
		if base.form != n.form {
			continue
		}
		ok, err := n.within(base)
		if err != nil {
			return err
		}
		constrained, allowed = true, allowed || ok
	}
	if constrained && !allowed {
		return fmt.Errorf("%v is not among the permitted", n)
	}
	for _, base := range l.excluded {
		if base.form != n.form {
			continue
		}
		hit, err := n.within(base)
		if err != nil {
			return err
		}
		if hit || n.mayExpandInto(base) {
			return fmt.Errorf("%v is excluded", n)
		}
	}
	return nil
}

func parseConstraints(value []byte) (*constraints, error) {
	in := cryptobyte.String(value)
	var seq, permitted, excluded cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() ||
		!seq.ReadOptionalASN1(&permitted, nil, cbasn1.Tag(0).ContextSpecific().Constructed()) ||
		!seq.ReadOptionalASN1(&excluded, nil, cbasn1.Tag(1).ContextSpecific().Constructed()) || !seq.Empty() {
		return nil, errors.New("malformed")
	}
	var l constraints
	var err error
	if l.permitted, err = parseSubtrees(permitted); err != nil {
		return nil, err
	}
	if l.excluded, err = parseSubtrees(excluded); err != nil {
		return nil, err
	}
	return &l, nil
}

// parseSubtrees refuses minimum and maximum, which RFC 5280 gives no meaning.
func parseSubtrees(s cryptobyte.String) ([]generalName, error) {
	var list []generalName
	for !s.Empty() {
		var subtree cryptobyte.String
		if !s.ReadASN1(&subtree, cbasn1.SEQUENCE) {
			return nil, errors.New("malformed")
		}
		base, err := readGeneralName(&subtree)
		if err != nil {
			return nil, err
		}
		if !subtree.Empty() {
			return nil, errors.New("minimum and maximum are not understood")
		}
		list = append(list, base)
	}
	return list, nil
}
