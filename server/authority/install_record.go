package authority

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
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
		done.Reasons = []string{"all of it is at work already"}
		return done, nil
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

// promote lets a key sign that has its certificates now.
func (i *installation) promote(tx storage.Tx, k keys.Key, done *policy.Done) error {
	spec, err := Purposes().Of(k.Purpose)
	if err != nil {
		return err
	}
	old, err := outgoing(tx, spec, k.Algorithm)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if err := i.keepsProfiles(tx, old, k.Algorithm); err != nil {
		return err
	}
	if sibling, err := needsSibling(tx, k.Purpose, k.Algorithm); err != nil {
		return err
	} else if sibling && !slices.ContainsFunc(i.keys, func(k keys.Key) bool { return k.Purpose == keys.HTTPSIssuer }) {
		return fmt.Errorf("%w: TLS clients cannot check what the issuer %s signs, and the response has no %s", agents.ErrTransition, k.ID, keys.HTTPSIssuer)
	}
	if err := i.complete(tx, k); err != nil {
		return err
	}
	if err := errors.Join(putAll(tx, i.certificates[k.ID]), i.handovers[k.ID].record(tx, k)); err != nil {
		return err
	}
	if done.Details.To == "" {
		done.Details.From, done.Details.To = old.ID, k.ID
	} else {
		done.Details.Change = append(done.Details.Change, audit.FieldChange{Field: string(k.Purpose), From: old.ID, To: k.ID})
	}
	done.Reasons = append(done.Reasons, fmt.Sprintf("%s from %s to %s", k.Purpose, cmp.Or(old.ID, "none"), k.ID))
	_, err = Purposes().PromoteEarly(tx, k.ID, i.now)
	return err
}

// complete fails if a root above a key has not certified it.
func (i *installation) complete(tx storage.Tx, k keys.Key) error {
	above, err := ca.Above(tx, k.Purpose)
	if err != nil {
		return err
	}
	for _, r := range above {
		if !slices.ContainsFunc(i.certificates[k.ID], func(c ca.Authority) bool { return c.Root == r.ID }) {
			return fmt.Errorf("%w: the response has no certificate of the %s %s by the root %s: make a new request", agents.ErrTransition, k.Purpose, k.ID, r.ID)
		}
	}
	for _, c := range i.certificates[k.ID] {
		if !slices.ContainsFunc(above, func(r ca.Root) bool { return c.Root == r.ID }) {
			return fmt.Errorf("%w response: the root %s does not certify the %s %s", agents.ErrInvalid, c.Root, k.Purpose, k.ID)
		}
	}
	return nil
}
