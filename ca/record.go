package ca

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/storage"
)

// authorities holds every root and issuing CA that was ever made, each with its first
// certificate.
const authorities = storage.Table[Authority]("authorities")

// further holds the certificates that other roots made for the same keys later, under
// "ID/ROOT". For an issuer they are as good as the first one. For a root they are
// cross-certificates: see [CA.Succeed].
const further = storage.Table[Authority]("certifications")

// PutAuthority records a certificate of a root or an issuing CA. It keeps those that other
// roots signed.
func PutAuthority(tx storage.Tx, a Authority) error {
	first, err := authorities.Get(tx, a.ID)
	switch {
	case err == nil && first.Root != a.Root && a.belowRoot():
		return further.Put(tx, a.ID+"/"+a.Root, a)
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return err
	}
	return authorities.Put(tx, a.ID, a)
}

func getAuthority(tx storage.Tx, id string) (Authority, error) {
	a, err := authorities.Get(tx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return a, fmt.Errorf("there is no certificate for the key %s: %w", id, err)
	}
	return a, err
}

// Authorities returns every root and issuing CA on record, with its first certificate.
func Authorities(tx storage.Tx) (roots, issuers []Authority, err error) {
	for a, err := range authorities.Scan(tx, "") {
		if err != nil {
			return nil, nil, err
		}
		if a.ID == a.Root {
			roots = append(roots, a)
		} else {
			issuers = append(issuers, a)
		}
	}
	return roots, issuers, nil
}

// maxDepth limits the CAs in one chain; no hierarchy needs as many. It ends the
// walk through records that name each other in a circle.
const maxDepth = 8

// Chain returns the DER certificate of an issuing CA, at work or retired, by its
// identifier, and after it the others that relying parties need, without the roots.
func Chain(tx storage.Tx, id string) ([][]byte, error) {
	line, err := lineage(tx, id)
	if err != nil {
		return nil, err
	}
	chain := make([][]byte, len(line))
	for i, a := range line {
		chain[i] = a.Certificate
	}
	return chain, nil
}

// lineage returns the certificates of a CA and of those above it, without the roots. The
// last of the CAs has a certificate by each root that is published; see byRoots.
func lineage(tx storage.Tx, id string) ([]Authority, error) {
	var line []Authority
	for len(line) < maxDepth {
		a, err := getAuthority(tx, id)
		if err != nil {
			return nil, err
		}
		if a.belowRoot() {
			all, err := byRoots(tx, a)
			return append(line, all...), err
		}
		line, id = append(line, a), a.Parent
	}
	return nil, fmt.Errorf("more than %d CAs are above %s: their records must be damaged", maxDepth, line[0].ID)
}

// belowRoot reports whether a root signed the certificate.
func (a Authority) belowRoot() bool { return a.Parent == "" || a.Parent == a.Root }

// byRoots returns the certificates of a CA by the roots that are published, that of
// the root that leads first. Clients build a path from the first one that fits, so they
// find one if they trust that root; others try all. If no root above the CA is published any more, it
// returns the first certificate.
func byRoots(tx storage.Tx, a Authority) ([]Authority, error) {
	all := []Authority{a}
	for more, err := range further.Scan(tx, a.ID+"/") {
		if err != nil {
			return nil, err
		}
		all = append(all, more)
	}
	if len(all) == 1 {
		return all, nil
	}
	roots, err := PublishedRoots(tx)
	if err != nil {
		return nil, err
	}
	rank := func(c Authority) int {
		return slices.IndexFunc(roots, func(r Root) bool { return r.ID == c.Root })
	}
	all = slices.DeleteFunc(all, func(c Authority) bool { return rank(c) < 0 })
	if len(all) == 0 {
		return []Authority{a}, nil
	}
	slices.SortStableFunc(all, func(a, b Authority) int { return cmp.Compare(rank(a), rank(b)) })
	return all, nil
}
