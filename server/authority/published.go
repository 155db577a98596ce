package authority

import (
	"context"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Published are the CA certificates on record. They are public.
type Published struct {
	Roots [][]byte          // DER; the root above the agents' issuers comes first
	ByID  map[string][]byte // roots and issuers in DER, by identifier
}

// Published returns the CA certificates on record.
func (a *Authority) Published(ctx context.Context) (p Published, err error) {
	err = a.DB.View(ctx, func(tx storage.Tx) error {
		roots, issuers, err := hierarchies(tx)
		p = Published{ByID: map[string][]byte{}}
		for _, root := range roots {
			p.Roots = append(p.Roots, root.Certificate)
		}
		for _, a := range append(roots, issuers...) {
			p.ByID[a.ID] = a.Certificate
		}
		return err
	})
	return p, err
}

// hierarchies returns every root and issuing CA on record, the root above the
// agents' issuers first.
func hierarchies(tx storage.Tx) (roots, issuers []ca.Authority, err error) {
	root, err := keys.Active(tx, keys.Root)
	if err != nil {
		return nil, nil, err
	}
	roots, issuers, err = ca.Authorities(tx)
	for i, a := range roots {
		if a.ID == root.ID {
			roots[0], roots[i] = roots[i], roots[0]
		}
	}
	return roots, issuers, err
}
