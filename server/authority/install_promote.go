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
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// promote lets a key sign that has its certificates now, or announces it.
func (i *installation) promote(tx storage.Tx, k keys.Key, done *policy.Done) error {
	spec, err := Purposes().Of(k.Purpose)
	if err != nil {
		return err
	}
	old, err := outgoing(tx, spec, k.Algorithm)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if err := i.allowed(tx, old, k); err != nil {
		return err
	}
	if done.Details.To == "" {
		done.Details.From, done.Details.To = old.ID, k.ID
	} else {
		done.Details.Change = append(done.Details.Change, audit.FieldChange{Field: string(k.Purpose), From: old.ID, To: k.ID})
	}
	done.Reasons = append(done.Reasons, fmt.Sprintf("%s from %s to %s", k.Purpose, cmp.Or(old.ID, "none"), k.ID))
	if announced, err := i.announces(tx, k); err != nil {
		return err
	} else if announced {
		return i.announce(tx, k, done)
	}
	if err := errors.Join(putAll(tx, i.certificates[k.ID]), i.handovers[k.ID].record(tx, k)); err != nil {
		return err
	}
	_, err = Purposes().PromoteEarly(tx, k.ID, i.now)
	return err
}

// announces reports whether a key is published before it signs. An https-issuer that is needed
// beside an issuer waits for as long as that.
func (i *installation) announces(tx storage.Tx, k keys.Key) (bool, error) {
	if i.atOnce {
		return false, nil
	}
	if n := slices.IndexFunc(i.keys, func(o keys.Key) bool { return o.Purpose == keys.Issuer }); n >= 0 && k.Purpose == keys.HTTPSIssuer {
		if needed, err := needsSibling(tx, keys.Issuer, i.keys[n].Algorithm); err != nil {
			return false, err
		} else if needed {
			k = i.keys[n]
		}
	}
	spec, err := Purposes().Of(k.Purpose)
	if err != nil {
		return false, err
	}
	return i.Authority.announces(tx, spec, k.Algorithm)
}

// announce publishes a key that does not sign yet.
func (i *installation) announce(tx storage.Tx, k keys.Key, done *policy.Done) error {
	early, err := i.listed(k.Purpose)
	if err != nil {
		return err
	}
	from := i.now.Add(early)
	done.Reasons = append(done.Reasons, "it signs from "+from.UTC().Format(time.RFC3339)+" on")
	next := &successor{purpose: k.Purpose, algorithm: k.Algorithm, key: k, certificates: i.certificates[k.ID]}
	return next.announce(tx, i.now, from)
}

// allowed returns an error if a key must not take the place of the old one.
func (i *installation) allowed(tx storage.Tx, old, k keys.Key) error {
	if err := i.keepsProfiles(tx, old, k.Algorithm); err != nil {
		return err
	}
	sibling, err := needsSibling(tx, k.Purpose, k.Algorithm)
	if err != nil {
		return err
	}
	if sibling && !slices.ContainsFunc(i.keys, func(k keys.Key) bool { return k.Purpose == keys.HTTPSIssuer }) {
		return fmt.Errorf("%w: TLS clients cannot check what the issuer %s signs, and the response has no %s", agents.ErrTransition, k.ID, keys.HTTPSIssuer)
	}
	return i.complete(tx, k)
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
