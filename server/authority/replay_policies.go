package authority

import (
	"context"
	"errors"
	"strconv"

	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// losePolicies has nothing permitted if other policies were applied after the backup: it does
// not have their text, and those before them may permit more.
func (r *replay) losePolicies(e audit.Event) (bool, error) {
	version, digest := appliedBy(e)
	if version == 0 {
		return false, nil // they were in force already
	}
	before, err := policies.Current(r.tx)
	if err != nil {
		return false, err
	}
	if r.policies == nil {
		r.policies = &before
	}
	r.lostPolicies = policies.Head{Number: version, Digest: digest}
	return true, policies.Lose(r.tx, version, digest, e.Actor, e.Time)
}

// returnPolicies puts those of the backup into force again when the ones that took their place
// were removed. It leaves those of the backup in force if they were removed.
func (r *replay) returnPolicies(audit.Event) (bool, error) {
	if r.policies == nil {
		return false, nil
	}
	before := *r.policies
	r.policies, r.lostPolicies = nil, policies.Head{}
	return false, policies.Return(r.tx, before)
}

// appliedBy returns the version that an event put into force, or 0.
func appliedBy(e audit.Event) (version int64, digest string) {
	if e.Details == nil {
		return 0, ""
	}
	for _, c := range e.Details.Change {
		switch c.Field {
		case "version":
			version, _ = strconv.ParseInt(c.To, 10, 64)
		case "sha256":
			digest = c.To
		}
	}
	return max(version, 0), digest
}

// takePolicies puts the text of lost policies into force that the replaced store has, if it is
// what the log says.
func (r *restore) takePolicies(ctx context.Context, tx storage.Tx, lost policies.Head) error {
	if lost.Number == 0 {
		return nil
	}
	r.out.Policies = lost.Number
	if r.old == nil {
		return nil
	}
	var v policies.Version
	err := r.old.View(ctx, func(later storage.Tx) (err error) {
		v, err = policies.Get(later, lost.Number)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) || err == nil && policies.Digest(v.Files) != lost.Digest {
		return nil
	}
	if err != nil {
		return err
	}
	r.out.Policies = 0
	return policies.Find(tx, v)
}
