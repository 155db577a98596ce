package authority

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/ceremony"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// RequestSuccessor returns a request for a new root, which is made where the key of the old one
// is: its certificate, cross-certificates of both roots, certificates of the issuers by the new
// root, and CRLs of both roots.
func (a *Authority) RequestSuccessor(ctx context.Context, p keys.Purpose, alg keys.Algorithm) (Requested, error) {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	s := &ceremony.Successor{}
	before, err := a.CA.CountRoots(ctx, p)
	if err != nil {
		return Requested{}, err
	}
	s.Nth = before + 1
	err = a.DB.View(ctx, func(tx storage.Tx) error {
		old, err := succeedable(tx, p)
		if err != nil {
			return err
		}
		s.Algorithm = cmp.Or(alg, old.Key.Algorithm)
		if err = a.checkSuccessor(tx, p, s.Algorithm); err == nil {
			s.Certify, err = a.certifiedBySuccessor(tx, keys.Key{Purpose: p, Algorithm: s.Algorithm})
		}
		for _, id := range s.Certify {
			if !slices.ContainsFunc(old.Issued, func(c ca.Authority) bool { return c.ID == id }) {
				return fmt.Errorf("%w algorithm: the new root would certify %s, of which the root %s has signed no certificate; put the key file of the root into the directory for brevet key rotate %s", agents.ErrInvalid, id, old.ID, p)
			}
		}
		return err
	})
	if err != nil {
		return Requested{}, err
	}
	f, out, err := a.draft(ctx, p)
	if err != nil {
		return out, err
	}
	f.Successor, out.Successor = s, s.Algorithm
	return out.write(f)
}

// succeedable returns the root of a purpose, which must be the only one that is published.
func succeedable(tx storage.Tx, p keys.Purpose) (ca.Root, error) {
	if spec, err := Purposes().Of(p); err != nil || spec.Rotation != keys.Overlap {
		return ca.Root{}, fmt.Errorf("%w purpose: only a root has a successor that is made elsewhere; brevet key request %s asks for a certificate", agents.ErrInvalid, p)
	}
	roots, err := rootsOf(tx, p)
	if err != nil {
		return ca.Root{}, err
	}
	if len(roots) > 1 {
		return ca.Root{}, fmt.Errorf("%w: the %s %s and %s are published already; brevet key withdraw ends one of them", agents.ErrTransition, p, roots[0].ID, roots[1].ID)
	}
	return roots[0], nil
}

// checkSuccessor refuses a new root that stock TLS clients do not know if there is no https-root,
// which would have to be made along with it.
func (a *Authority) checkSuccessor(tx storage.Tx, p keys.Purpose, alg keys.Algorithm) error {
	spec, err := Purposes().Of(p)
	if err == nil {
		err = rotatable(spec, alg)
	}
	if err != nil || p != keys.Root || alg.Classical() {
		return err
	}
	https, err := keys.AllActive(tx, keys.HTTPSRoot)
	if err == nil && len(https) == 0 {
		err = fmt.Errorf("%w algorithm: TLS clients cannot check what a root with %s signs, and there is no https-root, which no request makes; put the key file of the root into the directory for brevet key rotate root", agents.ErrInvalid, alg)
	}
	return err
}

// certifiedBySuccessor returns the identifiers of the issuers that a new root certifies, too.
func (a *Authority) certifiedBySuccessor(tx storage.Tx, next keys.Key) (ids []string, err error) {
	working, err := a.CA.Working(tx)
	if err != nil {
		return nil, err
	}
	roots, err := ca.PublishedRoots(tx)
	https := slices.ContainsFunc(roots, func(r ca.Root) bool { return r.Key.Purpose == keys.HTTPSRoot })
	for _, w := range working {
		if ca.Certifies(next, w.Purpose, https) {
			ids = append(ids, w.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}
