package crl

import (
	"context"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
)

// Trial returns the size, in octets of DER, that the active issuer's list would
// have now if i signed it. Nothing is published and no number is used up.
func (p *Publisher) Trial(ctx context.Context, i *ca.Issuer) (int, error) {
	var d *draft
	err := p.db.View(ctx, func(tx storage.Tx) (err error) {
		now := p.now().UTC()
		if d, err = newDraft(tx, p.ca.Issuer(), now, 0); err != nil {
			return err
		}
		return fill(tx, []*draft{d}, now)
	})
	if err != nil {
		return 0, err
	}
	d.ThisUpdate = d.thisUpdate()
	der, err := d.Sign(i)
	return len(der), err
}
