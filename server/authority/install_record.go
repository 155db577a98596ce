package authority

import (
	"cmp"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// record promotes the keys and takes the lists over, if the store still says what they were
// checked against.
func (i *installation) record(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
	done := policy.Done{Details: &audit.Details{}}
	if i.again {
		done.Reasons = []string{"all of it was installed already"}
		return done, i.overdue(tx)
	}
	if i.fresh != nil {
		if err := i.publish(tx, &done); err != nil {
			return done, err
		}
	}
	for _, k := range i.keys {
		if err := i.promote(tx, k, &done); err != nil {
			return done, err
		}
	}
	for _, p := range i.parts {
		if len(p.response.Lists) == 0 {
			continue
		}
		done.Reasons = append(done.Reasons, fmt.Sprintf("CRLs %d to %d of root %s, until %s", p.next.Current.Number, p.next.Number, p.root.ID, p.next.Until().UTC().Format(time.RFC3339)))
		if err := p.record(tx); err != nil {
			return done, err
		}
	}
	return done, nil
}

// overdue returns an error if a key that was installed before waits, and shall sign at once.
func (i *installation) overdue(tx storage.Tx) error {
	if !i.atOnce {
		return nil
	}
	for _, k := range i.keys {
		now, err := keys.Get(tx, k.ID)
		if err != nil {
			return err
		}
		if now.State == keys.StateNext {
			return fmt.Errorf("%w: all of it is installed already, and the %s key %s signs from %s on: brevet key rotate %[2]s --now makes it sign at once",
				agents.ErrTransition, k.Purpose, k.ID, k.SignsFrom.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// record takes over the lists of a root.
func (p *part) record(tx storage.Tx) error {
	root, err := withIssued(tx, p.root.ID)
	if err != nil {
		return err
	}
	about, err := crl.Statements(tx, root.Issued)
	if err != nil {
		return err
	}
	if same, err := p.next.Say(about); err != nil || !same {
		return cmp.Or(err, fmt.Errorf("%w: the issuers changed meanwhile; try again", agents.ErrTransition))
	}
	return p.next.Replace(tx, p.last)
}
