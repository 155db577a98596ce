package authority

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// ahead is how long before its time a key is rotated: a rotation at two thirds of an issuer's
// lifetime is over before the health warns at that time.
const ahead = 5 * time.Minute

// The pause after a failed rotation doubles from the first to the last.
const (
	firstPause = 5 * time.Minute
	lastPause  = 6 * time.Hour
)

// A dueKey is to be rotated by the server itself.
type dueKey struct {
	keys.Key
	since time.Time
}

// failedRotations has those that are due and failed, by the identifier of the old key.
type failedRotations struct {
	mu  sync.Mutex
	all map[string]*failedRotation
}

// A failedRotation is tried again after a pause.
type failedRotation struct {
	dueKey
	times int
	at    time.Time
	err   error
}

// RotateDue rotates the keys whose time has come by the schedules of brevet.yaml. For an
// issuer whose root is kept elsewhere it makes the key, and [Authority.KeepRequests] writes
// what the root is to sign. After a failure it tries again with growing pauses.
func (a *Authority) RotateDue(ctx context.Context) error {
	if a.Clock.Check() != nil {
		return nil // a wrong clock is a reason of its own, and no reason to rotate
	}
	var all []dueKey
	err := a.DB.View(ctx, func(tx storage.Tx) (err error) {
		all, err = a.dueKeys(tx)
		return err
	})
	if err != nil {
		return err
	}
	a.failedRotations.keep(all)
	var errs []error
	for _, d := range all {
		if a.failedRotations.pausing(d, a.Clock.Now()) {
			continue
		}
		err := a.rotateDue(ctx, d)
		a.failedRotations.note(d, a.Clock.Now(), err)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// rotateDue rotates one key, or has another one wait for the certificate of its root.
func (a *Authority) rotateDue(ctx context.Context, d dueKey) error {
	r := Rotation{Purpose: d.Purpose, replaces: d.ID, since: d.since}
	spec, err := Purposes().Of(d.Purpose)
	if err != nil {
		return err
	}
	if spec.PerAlgorithm {
		r.Algorithm = d.Algorithm
	}
	if spec.Rotation == keys.ByRoot {
		online, err := a.CA.RootOnline(ctx, d.Purpose)
		if err != nil {
			return err
		}
		if !online {
			return a.requestDue(ctx, r)
		}
	}
	_, err = a.Rotate(ctx, policy.System, r)
	return err
}

// requestDue makes the key of the next issuer unless one waits already.
func (a *Authority) requestDue(ctx context.Context, r Rotation) error {
	waits := false
	err := a.DB.View(ctx, func(tx storage.Tx) error {
		next, err := nextKeys(tx, r.Purpose)
		waits = slices.ContainsFunc(next, func(k keys.Key) bool { return r.Algorithm == "" || k.Algorithm == r.Algorithm })
		return err
	})
	if err != nil || waits {
		return err
	}
	a.rotating.Lock()
	defer a.rotating.Unlock()
	return a.makeWaiting(ctx, policy.System, r)
}

// dueKeys returns the active keys whose time has come. It leaves out compromised ones, which
// operators rotate, those that have an announced successor, and issuers that no profile needs.
func (a *Authority) dueKeys(tx storage.Tx) (all []dueKey, err error) {
	now := a.Clock.Now()
	for _, spec := range Purposes() {
		schedule := a.File.Rotate[spec.Purpose]
		active, err := keys.AllActive(tx, spec.Purpose)
		if err != nil {
			return nil, err
		}
		if _, announced, err := nextKey(tx, spec.Purpose); err != nil || announced && spec.Announced > 0 {
			if err != nil {
				return nil, err
			}
			continue
		}
		for _, k := range active {
			begin, end := k.Activated, time.Time{}
			if spec.Rotation == keys.ByRoot {
				if begin, end, err = a.lifeOf(tx, k); err != nil {
					return nil, err
				}
			}
			since := schedule.Due(begin, end)
			early, err := a.listed(spec.Purpose)
			if err != nil {
				return nil, err
			}
			if since.IsZero() || now.Before(since.Add(-ahead-early)) || !a.needed(k) {
				continue
			}
			if spec.Listed > 0 {
				next, err := announcedFor(tx, spec, k.Algorithm)
				if err != nil {
					return nil, err
				}
				if next.ID != "" {
					continue
				}
			}
			compromised, err := agents.IssuerCompromised(tx, k.ID)
			if err != nil {
				return nil, err
			}
			if !compromised {
				all = append(all, dueKey{k, since})
			}
		}
	}
	return all, nil
}

// Overdue returns the active keys whose time has come for more than an hour. The server tries
// each minute to rotate them.
func (a *Authority) Overdue(tx storage.Tx) (late []keys.Key, err error) {
	due, err := a.dueKeys(tx)
	for _, d := range due {
		if a.Clock.Now().Sub(d.since) > time.Hour {
			late = append(late, d.Key)
		}
	}
	return late, err
}

// announcedFor returns the announced issuer that will take the place of one of an algorithm, or
// the zero Key.
func announcedFor(tx storage.Tx, spec keys.PurposeSpec, alg keys.Algorithm) (keys.Key, error) {
	next, err := nextKeys(tx, spec.Purpose)
	for _, k := range next {
		if !k.SignsFrom.IsZero() && (!spec.PerAlgorithm || k.Algorithm == alg) {
			return k, err
		}
	}
	return keys.Key{}, err
}

// lifeOf returns when the certificate of an issuer begins and ends. It returns no end if the
// root ends at the same time: another issuer would not last longer, and its time would come
// again and again.
func (a *Authority) lifeOf(tx storage.Tx, k keys.Key) (begin, end time.Time, err error) {
	cert, err := certificateOf(tx, k)
	if err != nil {
		return begin, end, err
	}
	above, err := ca.Above(tx, k.Purpose)
	if err != nil {
		return begin, end, err
	}
	if above[0].NotAfter.Truncate(time.Second).After(cert.NotAfter) {
		end = cert.NotAfter
	}
	return cert.NotBefore, end, nil
}

// certificateOf returns the certificate of an issuer by the root that leads.
func certificateOf(tx storage.Tx, k keys.Key) (*x509.Certificate, error) {
	chain, err := ca.Chain(tx, k.ID)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(chain[0])
}

// needed reports whether a profile needs a profile-issuer.
func (a *Authority) needed(k keys.Key) bool {
	return k.Purpose != keys.ProfileIssuer || slices.ContainsFunc(a.special(), func(name string) bool {
		i, err := a.CA.IssuerOf(name)
		return err == nil && i.ID == k.ID
	})
}

// keep forgets the failures of keys that are not due any more.
func (f *failedRotations) keep(all []dueKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.all {
		if !slices.ContainsFunc(all, func(d dueKey) bool { return d.ID == id }) {
			delete(f.all, id)
		}
	}
}

func (f *failedRotations) pausing(d dueKey, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	failed := f.all[d.ID]
	return failed != nil && now.Before(failed.at.Add(min(lastPause, firstPause<<min(failed.times-1, 10))))
}

func (f *failedRotations) note(d dueKey, now time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.all, d.ID)
		return
	}
	if f.all == nil {
		f.all = map[string]*failedRotation{}
	}
	last := f.all[d.ID]
	if last == nil {
		last = &failedRotation{}
		f.all[d.ID] = last
	}
	*last = failedRotation{dueKey: d, times: last.times + 1, at: now, err: err}
}

// rotationReasons are about keys that the server should have rotated and could not.
func (a *Authority) rotationReasons(tx storage.Tx) (found []api.Reason) {
	a.failedRotations.mu.Lock()
	defer a.failedRotations.mu.Unlock()
	for _, f := range a.failedRotations.all {
		command := "run brevet key rotate " + string(f.Purpose)
		if spec, err := Purposes().Of(f.Purpose); err == nil && spec.PerAlgorithm {
			command += " --algorithm " + string(f.Algorithm)
		}
		found = append(found, warning(rotationFailed, a.rotates(tx, f.Purpose, command)+"; the server tries again by itself",
			"the %s key %s is due for rotation since %s, and that fails: %v", f.Purpose, f.ID, f.since.UTC().Format(time.RFC3339), f.err))
	}
	slices.SortFunc(found, func(a, b api.Reason) int { return strings.Compare(a.Text, b.Text) })
	return found
}

// superseded returns an error if the key that a rotation replaces does not sign any more:
// another node has rotated it meanwhile.
func (r *rotation) superseded(tx storage.Tx) error {
	if r.replaces == "" {
		return nil
	}
	k, err := keys.Get(tx, r.replaces)
	if err != nil {
		return err
	}
	if k.State != keys.StateActive {
		return fmt.Errorf("%w: the %s key %s was rotated meanwhile", agents.ErrTransition, k.Purpose, k.ID)
	}
	return nil
}
