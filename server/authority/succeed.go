package authority

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A rootRotation is the rotation of a root under way. The new root comes beside the old
// one: both are published and certify the same issuers, until [Authority.Withdraw] ends
// the old one. The chain that is sent begins with the certificate by the root that leads.
type rootRotation struct {
	rotation
	old     ca.Root
	pending bool         // the new root is published already
	working []ca.Working // what the new root certifies
}

func (a *Authority) rotateRoot(ctx context.Context, by policy.Principal, asked Rotation) (string, error) {
	r := &rootRotation{rotation: rotation{Authority: a, Rotation: asked, now: a.Clock.Now()}}
	q := policy.Query{Principal: by, Action: audit.KeyAnnounce, Subject: string(asked.Purpose), Time: r.now}
	switch {
	case asked.Compromised:
		q.Action, ctx = audit.KeyCompromise, storage.Urgent(ctx)
	case asked.Now:
		q.Action = audit.KeyRotate
	}
	if err := a.Policy.Do(ctx, q, policy.Act{Prepare: r.prepare, Change: r.change}); err != nil {
		return "", errors.Join(err, r.undo(context.WithoutCancel(ctx)))
	}
	a.cover(ctx)
	return r.id(), a.rootsChanged(ctx)
}

// rootsChanged puts the roots that are published now to work.
func (a *Authority) rootsChanged(ctx context.Context) error {
	return errors.Join(reloadIssuers(ctx, a), a.Own.Replace(ctx), a.destroyCompromised(ctx))
}

// prepare finds the roots and makes the new one. It may run twice.
func (r *rootRotation) prepare(ctx context.Context, _ *policy.Decision) error {
	if err := errors.Join(r.undo(ctx), r.DB.View(ctx, r.look)); err != nil {
		return err
	}
	if r.pending {
		return nil
	}
	spec, err := Purposes().Of(r.Purpose)
	if err == nil {
		err = rotatable(spec, r.plan.algorithm)
	}
	if err != nil {
		return err
	}
	if r.working, err = r.CA.AtWork(ctx); err != nil {
		return err
	}
	return r.makeRoot(ctx)
}

// look finds the old root, and the new one if it is published already.
func (r *rootRotation) look(tx storage.Tx) error {
	r.pending = false
	roots, err := ca.PublishedRoots(tx)
	if err != nil {
		return err
	}
	roots = slices.DeleteFunc(roots, func(o ca.Root) bool { return o.Key.Purpose != r.Purpose })
	if len(roots) == 0 {
		spec, err := Purposes().Of(r.Purpose)
		return cmp.Or(err, absent(spec, r.Algorithm))
	}
	r.old = roots[0]
	r.plan = plan{old: r.old.Key, algorithm: cmp.Or(r.Algorithm, r.old.Key.Algorithm)}
	switch {
	case len(roots) == 1 && r.Now && !r.Compromised: // relying parties would know no root in the chains
		return fmt.Errorf("%w: no new %s is published; brevet key rotate %[2]s publishes one, and with --now it leads later, when relying parties know it", agents.ErrTransition, r.Purpose)
	case len(roots) == 1:
		return nil
	}
	other := roots[1].Key
	verb := fmt.Sprintf("brevet key withdraw %s ends the old one", r.old.ID)
	switch {
	case other.State == keys.StateRetired:
		return fmt.Errorf("%w: there are two %s keys; brevet key withdraw %s ends the old one first", agents.ErrTransition, r.Purpose, other.ID)
	case !r.Now && !r.Compromised:
		return fmt.Errorf("%w: the %s %s (%s) is published; brevet key rotate %[2]s --now lets it lead, and %[5]s", agents.ErrTransition, r.Purpose, other.ID, other.Algorithm, verb)
	case r.Algorithm != "" && r.Algorithm != other.Algorithm:
		return fmt.Errorf("%w: the %s %s that is published has algorithm %s; brevet key withdraw %[3]s ends it", agents.ErrTransition, r.Purpose, other.ID, other.Algorithm)
	}
	r.pending, r.plan.algorithm = true, other.Algorithm
	r.successors = []*successor{{purpose: r.Purpose, algorithm: other.Algorithm, key: other}}
	return nil
}

// makeRoot makes the new root. If stock TLS clients do not know it, an https-root and an
// https-issuer are made as well, unless there are some.
func (r *rootRotation) makeRoot(ctx context.Context) error {
	root := &successor{purpose: r.Purpose, algorithm: r.plan.algorithm}
	r.successors = []*successor{root}
	var have bool
	err := r.DB.View(ctx, func(tx storage.Tx) error {
		all, err := keys.List(tx, keys.HTTPSRoot)
		have = slices.ContainsFunc(all, func(k keys.Key) bool { return k.State != keys.StateRetired })
		return err
	})
	if err != nil {
		return err
	}
	if err := r.online(); err != nil {
		return err
	}
	if have || r.plan.algorithm.Classical() || r.Purpose == keys.HTTPSRoot {
		return r.succeed(ctx, root, have, keys.Key{})
	}
	https, issuer := &successor{purpose: keys.HTTPSRoot, algorithm: keys.ECDSAP256}, &successor{purpose: keys.HTTPSIssuer, algorithm: keys.ECDSAP256}
	r.successors = append(r.successors, https)
	if !slices.ContainsFunc(r.working, func(w ca.Working) bool { return w.Purpose == keys.HTTPSIssuer }) {
		r.successors = append(r.successors, issuer)
		if issuer.key, _, err = r.generate(issuer.purpose, issuer.algorithm); err != nil {
			return err
		}
	}
	if err := errors.Join(r.succeed(ctx, root, true, keys.Key{}), r.succeed(ctx, https, true, issuer.key)); err != nil {
		return err
	}
	return r.vouchBeside(root, https)
}

// vouchBeside has the new root vouch for the https-root that is made along, which else would rest
// on the old root alone.
func (r *rootRotation) vouchBeside(root, https *successor) error {
	above, err := r.CA.Open(ca.Root{Authority: root.certificates[0], Key: root.key})
	if err != nil {
		return err
	}
	c, err := ca.CrossCertify(https.certificates[0], above, r.now)
	https.certificates = append(https.certificates, c)
	return err
}

// online refuses to go on without the old root's key, which vouches for the new one.
func (r *rootRotation) online() error {
	if r.Compromised {
		return nil
	}
	online, err := r.CA.Online(r.old)
	if err == nil && !online {
		err = fmt.Errorf("%w: the key of the %s %s is kept elsewhere, and it must vouch for the new one: brevet key request %[2]s --successor writes what both have to sign; or put its file into the directory for the rotation", agents.ErrTransition, r.Purpose, r.old.ID)
	}
	return err
}

// succeed makes the key and the certificates of a new root, and those of the first issuer
// below it, if there is one. https says that there is, or will be, an https-root.
func (r *rootRotation) succeed(ctx context.Context, next *successor, https bool, first keys.Key) (err error) {
	s := ca.Succession{First: first, FirstLifetime: issuerLifetime}
	if s.Key, s.Signer, err = r.signer(next); err != nil {
		return err
	}
	next.key, s.Like = s.Key, r.old
	if !r.Compromised {
		s.Vouch = []ca.Root{r.old}
	}
	for _, w := range r.working {
		if ca.Certifies(s.Key, w.Purpose, https) {
			s.Issuers = append(s.Issuers, w.Authority)
		}
	}
	next.certificates, err = r.CA.Succeed(ctx, s)
	return err
}

func (r *rootRotation) signer(next *successor) (keys.Key, ca.Signer, error) {
	k, private, err := r.generate(next.purpose, next.algorithm)
	if err != nil {
		return k, ca.Signer{}, err
	}
	s, err := ca.NewSigner(private)
	return k, s, err
}
