package authority

import (
	"cmp"
	"context"
	"slices"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Published are the CA certificates on record. They are public.
type Published struct {
	Roots [][]byte          // DER; the root above the agents' issuers that leads comes first
	Cross [][]byte          // cross-certificates of these roots by each other
	ByID  map[string][]byte // roots and issuers in DER, by identifier
}

// Published returns the CA certificates on record.
func (a *Authority) Published(ctx context.Context) (p Published, err error) {
	err = a.DB.View(ctx, func(tx storage.Tx) error {
		p = Published{ByID: map[string][]byte{}}
		roots, err := publishedRoots(tx)
		if err != nil {
			return err
		}
		for _, root := range roots {
			p.Roots = append(p.Roots, root.Certificate)
		}
		if p.Cross, err = ca.CrossCertificates(tx); err != nil {
			return err
		}
		all, issuers, err := ca.Authorities(tx)
		for _, a := range all {
			p.ByID[a.ID] = a.Certificate
		}
		for _, a := range issuers {
			chain, err := ca.Chain(tx, a.ID)
			if err != nil {
				return err
			}
			p.ByID[a.ID] = chain[0]
		}
		return err
	})
	return p, err
}

// publishedRoots returns the roots that are not withdrawn. Those above the agents' issuers
// come first, and of these the one that leads.
func publishedRoots(tx storage.Tx) ([]ca.Root, error) {
	roots, err := ca.PublishedRoots(tx)
	https := func(r ca.Root) int {
		if r.Key.Purpose == keys.HTTPSRoot {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(roots, func(a, b ca.Root) int { return cmp.Compare(https(a), https(b)) })
	return roots, err
}
