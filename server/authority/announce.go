package authority

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// nextKey returns the key of a purpose that is announced, if there is one.
func nextKey(tx storage.Tx, p keys.Purpose) (k keys.Key, found bool, err error) {
	next, err := nextKeys(tx, p)
	if err != nil || len(next) == 0 {
		return k, false, err
	}
	return next[0], true, nil
}

// pending looks for a key that is announced already. A rotation without delay promotes
// it, and any other is refused: there is one successor at a time.
func (r *rotation) pending(ctx context.Context) (found bool, err error) {
	spec, err := Purposes().Of(r.Purpose)
	if err != nil || spec.Announced == 0 {
		return false, err
	}
	var k keys.Key
	err = r.DB.View(ctx, func(tx storage.Tx) (err error) {
		k, found, err = nextKey(tx, r.Purpose)
		return err
	})
	if err != nil || !found {
		return false, err
	}
	if !r.Now || r.Algorithm != "" && r.Algorithm != k.Algorithm {
		return false, fmt.Errorf("%w: the %s key %s (%s) is announced and signs from %s on; brevet key rotate %[2]s --now makes it sign at once, and brevet key cancel %[2]s gives it up",
			agents.ErrTransition, r.Purpose, k.ID, k.Algorithm, spec.SignsFrom(k).UTC().Format(time.RFC3339))
	}
	_, err = r.Keys.Signer(k)
	r.successors[0].key, r.plan.algorithm = k, k.Algorithm
	return true, err
}

// announceKey records the key as the next one. It is published from then on.
func (r *rotation) announceKey(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
	done, k := r.done(), r.successors[0].key
	spec, err := Purposes().Of(r.Purpose)
	if err != nil {
		return done, err
	}
	if err := errors.Join(r.plain(tx, &done), r.superseded(tx)); err != nil {
		return done, err
	}
	if _, found, err := nextKey(tx, r.Purpose); err != nil {
		return done, err
	} else if found {
		return done, fmt.Errorf("%w: another %s key was announced meanwhile", agents.ErrTransition, r.Purpose)
	}
	done.Reasons = append(done.Reasons, "it signs from "+spec.SignsFrom(k).UTC().Format(time.RFC3339)+" on")
	_, err = Purposes().Record(tx, k, keys.StateNext, r.now)
	return done, err
}

// announces reports whether an issuer that takes the place of the active one is published before
// it signs. It signs at once if no other is active, or if that one is compromised or ends too soon.
func (a *Authority) announces(tx storage.Tx, spec keys.PurposeSpec, alg keys.Algorithm) (bool, error) {
	if spec.Listed == 0 {
		return false, nil
	}
	old, err := outgoing(tx, spec, alg)
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if compromised, err := agents.IssuerCompromised(tx, old.ID); err != nil || compromised {
		return false, err
	}
	early, err := a.listed(spec.Purpose)
	if err != nil {
		return false, err
	}
	cert, err := certificateOf(tx, old)
	return err == nil && cert.NotAfter.Sub(a.Clock.Now()) > early+day(1), err
}

// decide finds out whether the rotation only announces an issuer. If one is announced already,
// it does not: see [rotation.take].
func (r *rotation) decide(ctx context.Context, spec keys.PurposeSpec) error {
	err := r.DB.View(ctx, func(tx storage.Tx) (err error) {
		if r.announce, err = r.announces(tx, spec, r.Algorithm); err != nil || !r.announce {
			return err
		}
		old, err := outgoing(tx, spec, r.Algorithm)
		if err != nil {
			return err
		}
		k, err := announcedFor(tx, spec, old.Algorithm)
		r.announce = k.ID == ""
		return err
	})
	if errors.Is(err, agents.ErrInvalid) {
		return nil // the plan refuses it, and that is recorded
	}
	return err
}

// asDecided returns an error if an issuer is to be announced now and was not to be before, or the
// other way round, because other keys are at work.
func (r *rotation) asDecided(tx storage.Tx) error {
	if r.Now || r.Compromised || r.waits || r.certified {
		return nil
	}
	spec, err := Purposes().Of(r.Purpose)
	if err != nil {
		return err
	}
	announce, err := r.announces(tx, spec, r.plan.algorithm)
	if err == nil && announce != r.announce {
		err = fmt.Errorf("%w: other keys are at work meanwhile; try again", agents.ErrTransition)
	}
	return err
}

// announceIssuers records the next issuers with their certificates. Their CRLs are published
// from then on.
func (r *rotation) announceIssuers(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
	done := r.done()
	if err := errors.Join(r.plain(tx, &done), r.superseded(tx), r.asDecided(tx)); err != nil {
		return done, err
	}
	for _, next := range r.successors {
		from, err := r.listed(next.purpose)
		if err != nil {
			return done, err
		}
		if err := next.announce(tx, r.now, r.now.Add(from)); err != nil {
			return done, err
		}
		done.Reasons = append(done.Reasons, "it signs from "+r.now.Add(from).UTC().Format(time.RFC3339)+" on")
	}
	return done, nil
}

// listed returns for how long the CRL of a CA is published before the CA signs: as long as a
// file of CRLs may be used, so that every file that is in use has the list.
func (a *Authority) listed(p keys.Purpose) (time.Duration, error) {
	spec, err := Purposes().Of(p)
	if err != nil || spec.Listed == 0 {
		return 0, err
	}
	return max(spec.Listed, a.File.CRL.Bundle), nil
}

// announce publishes an issuer that does not sign yet.
func (next *successor) announce(tx storage.Tx, now, from time.Time) error {
	if next.key.State == "" { // it is not on record
		if _, err := Purposes().Record(tx, next.key, keys.StateNext, now); err != nil {
			return err
		}
	}
	if err := errors.Join(next.onlyOne(tx), certifiedByAll(tx, next)); err != nil {
		return err
	}
	return errors.Join(putAll(tx, next.certificates), keys.Announce(tx, next.key.ID, from))
}
