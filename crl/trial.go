package crl

import (
	"context"
	"slices"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
)

// Trial returns the size, in octets of DER, that the list of the issuer with this
// identifier would have now if i signed it. For an unknown issuer it is the size of an
// empty list. Nothing is published and no number is consumed.
func (p *Publisher) Trial(ctx context.Context, issuer string, i *ca.Issuer) (int, error) {
	var d *draft
	err := p.db.View(ctx, func(tx storage.Tx) (err error) {
		now, of := p.clock.Now().UTC(), i
		all := p.ca.Issuers() // once: a rotation may change it
		if k := slices.IndexFunc(all, func(known *ca.Issuer) bool { return known.ID == issuer }); k >= 0 {
			of = all[k]
		}
		if d, err = newDraft(tx, of, now, 0); err != nil {
			return err
		}
		return fill(tx, []*draft{d}, now)
	})
	if err != nil {
		return 0, err
	}
	d.ThisUpdate = d.thisUpdate()
	der, err := d.encode(i)
	return len(der), err
}
