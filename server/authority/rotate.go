package authority

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/format"
	"github.com/brevet-ca/brevet/storage/keys"
)

// issuerLifetime is the lifetime of an issuer made by rotation, and of the first one if
// no other is given.
const issuerLifetime = 90 * 24 * time.Hour

// A Rotation is what an operator asks for.
type Rotation struct {
	Purpose   keys.Purpose
	Algorithm keys.Algorithm // "" means that of the old key
	Now       bool           // a key that others cache signs at once, without being announced first

	// Compromised says that the old key is stolen: all that it signed is dead for good, and
	// its private half is destroyed. Counts is what that ends, and Agents whose it is, for
	// the audit log.
	Compromised bool
	Counts      audit.Counts
	Agents      []string

	// replaces is the key whose time came by its schedule, and since is when. Nobody else
	// may have replaced it meanwhile.
	replaces string
	since    time.Time
}

// Rotate makes a new key and makes it active. If others cache the public keys of the
// purpose, or load files with its CRL, the key is only announced, and [Authority.PromoteDue]
// makes it active later.
// Signatures of the old key stay valid: an old issuer's CRL is still published, and
// an old token key stays in the JWK Set. Rotate returns the new key's identifier.
//
// One rotation at a time: a plan must still hold when it is carried out, and
// keys that were loaded earlier must not replace those that were loaded later.
func (a *Authority) Rotate(ctx context.Context, by policy.Principal, asked Rotation) (string, error) {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	spec, err := Purposes().Of(asked.Purpose)
	if err == nil && spec.Rotation == keys.Overlap {
		return a.rotateRoot(ctx, by, asked)
	}
	r := rotation{Authority: a, Rotation: asked, now: a.Clock.Now()}
	q := policy.Query{Principal: by, Action: audit.KeyRotate, Subject: string(asked.Purpose), Time: r.now}
	act := policy.Act{Prepare: r.prepare, Change: r.promote}
	switch {
	case asked.Compromised:
		r.Now, q.Action, ctx = true, audit.KeyCompromise, storage.Urgent(ctx)
	case err == nil && spec.Announced > 0 && !asked.Now:
		q.Action, act.Change = audit.KeyAnnounce, r.announceKey
	case err == nil && !asked.Now:
		if err := r.decide(ctx, spec); err != nil {
			return "", err
		}
		if r.announce {
			q.Action, act.Change = audit.KeyAnnounce, r.announceIssuers
		}
	}
	if err := a.Policy.Do(ctx, q, act); err != nil {
		if left := r.undo(context.WithoutCancel(ctx)); left != nil {
			return "", errors.Join(err, left)
		}
		return "", err
	}
	err = errors.Join(a.discardNext(r.cancelled), a.reload(ctx, asked.Purpose))
	a.cover(ctx)
	return r.id(), errors.Join(err, a.destroyCompromised(ctx))
}

// id returns the identifier of the new key, or "" until one is made.
func (r *rotation) id() string {
	if len(r.successors) == 0 {
		return ""
	}
	return r.successors[0].key.ID
}

// A rotation is the state of one rotation under way.
type rotation struct {
	*Authority
	Rotation
	now        time.Time
	plan       plan
	successors []*successor
	made       []keys.Key // by prepare

	announce  bool       // an issuer is published with its certificate, and signs later
	certified bool       // the successor has its certificate: it was announced
	waits     bool       // the successors are only made, and wait for certificates by a root that is elsewhere
	cancelled []keys.Key // waiting keys that a compromise ends
}

// prepare plans the rotation and makes the keys. It may run twice.
func (r *rotation) prepare(ctx context.Context, _ *policy.Decision) (err error) {
	if err := r.undo(ctx); err != nil {
		return err
	}
	r.cancelled = nil
	waiting, err := r.waitingKeys(ctx)
	if err != nil {
		return err
	}
	if r.plan, err = r.Authority.plan(ctx, r.Purpose, r.Algorithm); err != nil {
		return err
	}
	r.successors = []*successor{{purpose: r.Purpose, algorithm: r.plan.algorithm}}
	r.certified = !r.Compromised && slices.ContainsFunc(waiting, func(k keys.Key) bool {
		return k.Purpose == r.Purpose && !k.SignsFrom.IsZero() && (!r.plan.perAlgorithm || k.Algorithm == r.plan.algorithm)
	})
	if r.plan.sibling {
		r.successors = append(r.successors, &successor{purpose: keys.HTTPSIssuer, algorithm: keys.ECDSAP256})
	}
	if announced, err := r.pending(ctx); err != nil || announced {
		return err
	}
	if err := r.lookForRoot(ctx); err != nil {
		return err
	}
	for _, next := range r.successors {
		if err := r.take(next, waiting); err != nil {
			return err
		}
		if err := r.makeKey(ctx, next); err != nil {
			return err
		}
		if r.waits || r.Compromised {
			continue
		}
		if next.handover, err = r.handOver(ctx, next.key); err != nil {
			return err
		}
	}
	return r.takeSibling(ctx)
}

// done says what changes place with what.
func (r *rotation) done() policy.Done {
	from, to := r.plan.old.ID, r.id()
	done := policy.Done{Reasons: []string{"from " + cmp.Or(from, "none") + " to " + cmp.Or(to, "none")}, Details: &audit.Details{From: from, To: to}}
	for _, next := range r.successors[min(1, len(r.successors)):] {
		done.Reasons = append(done.Reasons, "along with the "+string(next.purpose)+" "+next.key.ID)
		done.Details.Change = append(done.Details.Change, audit.FieldChange{Field: string(next.purpose), To: next.key.ID})
	}
	if r.Compromised {
		done.Details.Counts, done.Details.Agents = &r.Counts, r.Agents
	}
	if r.plan.perAlgorithm {
		done.Reasons = append(done.Reasons, "of algorithm "+string(r.plan.algorithm))
	}
	if r.replaces != "" {
		done.Reasons = append(done.Reasons, "due since "+r.since.UTC().Format(time.RFC3339))
	}
	return done
}

// plain leaves out the details of an event of the server itself unless the store needs a
// version that reads them anyway: see [audit.ServerStart].
func (r *rotation) plain(tx storage.Tx, done *policy.Done) error {
	if r.replaces == "" {
		return nil
	}
	reads, err := format.Reached(tx, format.Details)
	if err == nil && !reads {
		done.Details = nil
	}
	return err
}

// undo destroys the keys of a rotation that failed or starts again: nothing was signed with
// them. It keeps a key if it is on record, or if the store is in trouble, so that the outcome
// of the last commit may be unknown.
func (r *rotation) undo(ctx context.Context) error {
	if storage.Trouble(r.DB) != nil {
		return nil
	}
	var errs []error
	for _, k := range r.made {
		err := r.DB.View(ctx, func(tx storage.Tx) error {
			_, err := keys.Get(tx, k.ID)
			return err
		})
		if errors.Is(err, storage.ErrNotFound) {
			err = r.Keys.Destroy(k)
		}
		errs = append(errs, err)
	}
	r.made = nil
	return errors.Join(errs...)
}

// promote makes the keys active.
func (r *rotation) promote(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
	done := r.done()
	if err := errors.Join(r.plain(tx, &done), r.superseded(tx), r.asDecided(tx), r.cancel(tx)); err != nil {
		return done, err
	}
	for _, next := range r.successors {
		if err := next.promote(tx, r.waits, r.now); err != nil {
			return done, err
		}
	}
	if r.Compromised {
		return done, agents.EndIssuer(tx, r.plan.old.ID, r.now)
	}
	return done, nil
}

// A plan is what a rotation will do.
type plan struct {
	old       keys.Key // the zero Key if this is the first one
	algorithm keys.Algorithm
	sibling   bool // an https-issuer is made as well

	perAlgorithm bool // others of the purpose stay at work
}

// plan checks a rotation and says what it comes to.
func (a *Authority) plan(ctx context.Context, p keys.Purpose, alg keys.Algorithm) (next plan, err error) {
	err = a.DB.View(ctx, func(tx storage.Tx) (err error) {
		spec, err := Purposes().Of(p)
		if err != nil {
			return err
		}
		if err := rotatable(spec, alg); err != nil {
			return err
		}
		if next.old, err = outgoing(tx, spec, alg); errors.Is(err, storage.ErrNotFound) {
			err = absent(spec, alg)
		}
		if err != nil {
			return err
		}
		next.perAlgorithm = spec.PerAlgorithm
		next.algorithm = cmp.Or(alg, next.old.Algorithm)
		if err := a.keepsProfiles(tx, next.old, next.algorithm); err != nil {
			return err
		}
		next.sibling, err = needsSibling(tx, p, next.algorithm)
		return err
	})
	return next, err
}

// rotatable refuses what cannot be rotated to an algorithm.
func rotatable(s keys.PurposeSpec, a keys.Algorithm) error {
	if a == "" {
		return nil
	}
	if err := s.Check(a); err != nil {
		return fmt.Errorf("%w %w", agents.ErrInvalid, err)
	}
	return nil
}

// outgoing returns the key whose place the new one takes. Where each algorithm has
// its own, the algorithm may be left out if there is only one.
func outgoing(tx storage.Tx, s keys.PurposeSpec, a keys.Algorithm) (keys.Key, error) {
	if !s.PerAlgorithm {
		return keys.Active(tx, s.Purpose)
	}
	if a != "" {
		return keys.ActiveWith(tx, s.Purpose, a)
	}
	active, err := keys.AllActive(tx, s.Purpose)
	if err != nil {
		return keys.Key{}, err
	}
	if len(active) > 1 {
		var names []string
		for _, k := range active {
			names = append(names, string(k.Algorithm))
		}
		return keys.Key{}, fmt.Errorf("%w algorithm: there are %s keys of %s; say with --algorithm which is to be rotated", agents.ErrInvalid, s.Purpose, strings.Join(names, ", "))
	}
	return keys.Active(tx, s.Purpose)
}

// absent tells what is missing where a purpose has no key to rotate: nothing, if the
// first one is made.
func absent(s keys.PurposeSpec, a keys.Algorithm) error {
	switch {
	case s.First == "":
		return fmt.Errorf("%w purpose: this authority has no %s key; the issuer signs for its HTTPS, too", agents.ErrInvalid, s.Purpose)
	case a == "":
		return fmt.Errorf("%w algorithm: this is the first %s key; %s", agents.ErrInvalid, s.Purpose, s.First)
	}
	return nil
}

// needsSibling reports whether an issuer of algorithm a would leave the server
// without a certificate that stock TLS clients can check: then it is given an
// https-issuer under the root that they trust.
func needsSibling(tx storage.Tx, p keys.Purpose, a keys.Algorithm) (bool, error) {
	if p != keys.Issuer || a.Classical() {
		return false, nil
	}
	if stock, err := ca.Stock(tx); err != nil || stock {
		return stock, err // an https-issuer of earlier may have gone unwatched
	}
	_, err := keys.Active(tx, keys.HTTPSIssuer)
	if errors.Is(err, storage.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// A successor is a key that is about to be put to work.
type successor struct {
	purpose      keys.Purpose
	algorithm    keys.Algorithm
	key          keys.Key
	certificates []ca.Authority // of a CA
	handover     handover       // if the old key vouches for it
}

// generate makes a key that undo destroys if it does not come on record.
func (r *rotation) generate(p keys.Purpose, alg keys.Algorithm) (keys.Key, crypto.Signer, error) {
	k, private, err := r.Keys.Generate(p, alg, r.now)
	if err == nil {
		r.made = append(r.made, k)
	}
	return k, private, err
}

// makeKey makes the key, unless it waits already, and the certificates of an issuer whose
// root is here.
func (r *rotation) makeKey(ctx context.Context, next *successor) (err error) {
	if next.key.ID == "" {
		if next.key, _, err = r.generate(next.purpose, next.algorithm); err != nil {
			return err
		}
	}
	spec, err := Purposes().Of(next.purpose)
	if err != nil {
		return err
	}
	if spec.Rotation == keys.ByRoot && !r.waits && next.key.SignsFrom.IsZero() {
		next.certificates, err = r.CA.NextIssuer(ctx, next.key, issuerLifetime)
	}
	return err
}

// promote makes the key active, or has it wait for its certificate.
func (next *successor) promote(tx storage.Tx, waits bool, now time.Time) error {
	if next.key.State == "" { // it is not on record
		if _, err := Purposes().Record(tx, next.key, keys.StateNext, now); err != nil {
			return err
		}
	}
	if waits {
		return next.onlyOne(tx)
	}
	if err := certifiedByAll(tx, next); err != nil {
		return err
	}
	if err := errors.Join(putAll(tx, next.certificates), next.handover.record(tx, next.key)); err != nil {
		return err
	}
	_, err := Purposes().PromoteEarly(tx, next.key.ID, now)
	return err
}

// onlyOne fails if another key of the purpose came to wait meanwhile.
func (next *successor) onlyOne(tx storage.Tx) error {
	all, err := nextKeys(tx, next.purpose)
	for _, k := range all {
		if k.ID != next.key.ID && (next.purpose != keys.ProfileIssuer || k.Algorithm == next.algorithm) {
			return fmt.Errorf("%w: another %s key waits for its certificate meanwhile", agents.ErrTransition, next.purpose)
		}
	}
	return err
}
