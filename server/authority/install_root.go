package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A freshRoot is a new root that was made elsewhere, in the second part of a response. The first
// part is by the root that it succeeds.
type freshRoot struct {
	key     keys.Key
	root    ca.Authority
	before  ca.Root
	issuers []ca.Authority // that the root before has certified, by which the new certificates are checked
}

// readSuccessor finds out whether the response brings a new root, and checks its certificate.
func (i *installation) readSuccessor(ctx context.Context) error {
	if len(i.parts) != 2 || len(i.parts[0].response.Certificates) == 0 || len(i.parts[1].response.Certificates) == 0 {
		return nil
	}
	first, second := i.parts[0].response, i.parts[1].response
	next, err := ca.ParseRoot(second.Certificates[0])
	if err != nil {
		return err
	}
	old, err := ca.ParseRoot(first.Certificates[0])
	if err != nil {
		return err
	}
	fresh := &freshRoot{}
	err = i.DB.View(ctx, func(tx storage.Tx) error {
		if _, err := withIssued(tx, next.ID); !errors.Is(err, storage.ErrNotFound) {
			fresh = nil
			return err
		}
		before, err := withIssued(tx, old.ID)
		if err != nil {
			return fmt.Errorf("%w response: it is signed by the root %.40q, which is not one of this authority: %w", agents.ErrInvalid, old.ID, err)
		}
		if fresh.before, err = succeedable(tx, before.Key.Purpose); err == nil && fresh.before.ID != old.ID {
			err = fmt.Errorf("%w response: it is signed by the root %s, and %s is published", agents.ErrInvalid, old.ID, fresh.before.ID)
		}
		fresh.issuers = before.Issued
		return err
	})
	if err != nil || fresh == nil {
		return err
	}
	count, err := i.CA.CountRoots(ctx, fresh.before.Key.Purpose)
	if err != nil {
		return err
	}
	if fresh.root, fresh.key, err = ca.CheckRoot(fresh.before.Authority, count+1, second.Certificates[0], i.now); err != nil {
		return err
	}
	i.fresh, second.Certificates = fresh, second.Certificates[1:]
	i.parts[1].root = ca.Root{Authority: fresh.root, Key: fresh.key}
	return nil
}

// checkBeside checks a certificate that comes with a new root: a cross-certificate of one root
// by the other, or one of an issuer by the new root.
func (i *installation) checkBeside(p *part, id string, der []byte) (ca.Authority, error) {
	if f := i.fresh; f != nil {
		switch {
		case p.root.ID == f.before.ID && id == f.root.ID:
			return ca.CheckCross(p.described, f.root, der, i.now)
		case p.root.ID == f.root.ID && id == f.before.ID:
			return ca.CheckCross(p.described, f.before.Authority, der, i.now)
		case p.root.ID == f.root.ID:
			if n := slices.IndexFunc(f.issuers, func(a ca.Authority) bool { return a.ID == id && a.IsIssuing() == nil }); n >= 0 {
				return ca.CheckRecertified(p.described, f.issuers[n], der, i.now)
			}
		}
	}
	return ca.Authority{}, fmt.Errorf("%w response: the root %s certifies the key %.40s, which waits for none", agents.ErrInvalid, p.root.ID, id)
}

// publish lets the new root come beside the one before, with all that both have signed of each
// other and of the issuers.
func (i *installation) publish(tx storage.Tx, done *policy.Done) error {
	f := i.fresh
	before, err := succeedable(tx, f.key.Purpose)
	if err != nil {
		return err
	}
	if before.ID != f.before.ID {
		return fmt.Errorf("%w: another root is published meanwhile: make a new request", agents.ErrTransition)
	}
	if err := i.checkSuccessor(tx, f.key.Purpose, f.key.Algorithm); err != nil {
		return err
	}
	needed, err := i.certifiedBySuccessor(tx, f.key)
	if err != nil {
		return err
	}
	old, next := i.parts[0], i.parts[1]
	for _, id := range append(needed, before.ID) {
		if !slices.ContainsFunc(next.made, func(c ca.Authority) bool { return c.ID == id }) {
			return fmt.Errorf("%w: the new root has not certified %s: make a new request", agents.ErrTransition, id)
		}
	}
	if !slices.ContainsFunc(old.made, func(c ca.Authority) bool { return c.ID == f.root.ID }) {
		return fmt.Errorf("%w response: the root %s does not vouch for the new one", agents.ErrInvalid, before.ID)
	}
	if _, err := Purposes().Record(tx, f.key, keys.StateNext, i.now); err != nil {
		return err
	}
	if err := ca.PutAuthority(tx, f.root); err != nil {
		return err
	}
	for _, c := range slices.Concat(old.made, next.made) {
		if _, waits := i.certificates[c.ID]; waits {
			continue
		}
		if err := ca.PutAuthority(tx, c); err != nil {
			return err
		}
	}
	done.Details.From, done.Details.To = before.ID, f.root.ID
	done.Reasons = append(done.Reasons, fmt.Sprintf("%s from %s to %s", f.key.Purpose, before.ID, f.root.ID))
	return nil
}
