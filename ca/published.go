package ca

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// PublishedRoots returns the roots that have not been withdrawn. The ones that lead come first: relying
// parties know them for longest. Then come new ones, which still become known, and old
// ones, which are to be withdrawn.
func PublishedRoots(tx storage.Tx) ([]Root, error) {
	above, _, err := Authorities(tx)
	if err != nil {
		return nil, err
	}
	var roots []Root
	for _, a := range above {
		if !a.Withdrawn.IsZero() {
			continue
		}
		k, err := keys.Get(tx, a.ID)
		if err != nil && !errors.Is(err, storage.ErrNotFound) { // somebody else's
			return nil, err
		}
		roots = append(roots, Root{Authority: a, Key: k})
	}
	slices.SortStableFunc(roots, func(a, b Root) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), a.Key.Created.Compare(b.Key.Created))
	})
	return roots, nil
}

func (r Root) rank() int { return max(0, slices.Index(ranks, r.Key.State)) }

var ranks = []keys.State{keys.StateActive, keys.StateNext, keys.StateRetired}

// CrossCertificates returns the DER cross-certificates that the published roots have made,
// also those of roots that are withdrawn since, which are revoked, and those that withdrawn
// roots made of the published ones, which show that one has followed the other.
func CrossCertificates(tx storage.Tx) (all [][]byte, err error) {
	roots, err := PublishedRoots(tx)
	if err != nil {
		return nil, err
	}
	above, _, err := Authorities(tx)
	if err != nil {
		return nil, err
	}
	for _, a := range above {
		for c, err := range further.Scan(tx, a.ID+"/") {
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(roots, func(r Root) bool { return r.ID == c.Root || r.ID == a.ID }) {
				all = append(all, c.Certificate)
			}
		}
	}
	return all, nil
}

// WithdrawRoot ends the publication of a root. Other roots list their cross-certificates of
// it as revoked.
func WithdrawRoot(tx storage.Tx, id string, now time.Time) error {
	a, err := getAuthority(tx, id)
	if err != nil {
		return err
	}
	a.Withdrawn = now
	return errors.Join(authorities.Put(tx, id, a), agents.CutIssuer(tx, id, agents.Cutoff{At: now, Reason: agents.CessationOfOperation}))
}
