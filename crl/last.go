package crl

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
)

// A lastList is the last list of an issuer whose key is destroyed, stored as JSON.
type lastList struct {
	CRL
	Text []byte `json:"der"`
}

const lastTable = storage.Table[lastList]("last_crl")

// PublishLast signs and stores the last list of an issuer whose key is compromised. It has
// every certificate of the issuer on record that may be alive, and may be used until the
// issuer's own certificate ends. [Publisher.PublishRoots] takes it over.
func (p *Publisher) PublishLast(ctx context.Context, issuer *ca.Issuer) error {
	ctx = storage.Urgent(ctx)
	now, date := p.clock.Now().UTC(), p.clock.Shown().UTC().Truncate(time.Second)
	var d *draft
	err := p.db.View(ctx, func(tx storage.Tx) (err error) {
		if d, err = newDraft(tx, issuer, date, p.clock.Doubt()); err != nil {
			return err
		}
		return fill(tx, []*draft{d}, now)
	})
	if err != nil {
		return err
	}
	d.NextUpdate = issuer.NotAfter
	c, err := d.sign(true)
	if err != nil {
		return fmt.Errorf("signing the last CRL of %s: %w", issuer.ID, err)
	}
	return p.db.Update(ctx, func(tx storage.Tx) error {
		if err := record(tx, []*draft{d}, []*CRL{c}); err != nil {
			return err
		}
		return lastTable.Put(tx, c.Issuer, lastList{*c, c.DER})
	})
}

// lastLists returns the last lists of issuers that may still be used.
func lastLists(tx storage.Tx, now time.Time) (all []*CRL, err error) {
	for l, err := range lastTable.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		if l.DER, l.sameDate = l.Text, true; now.Before(l.NextUpdate) {
			all = append(all, &l.CRL)
		}
	}
	return all, nil
}

// Stored returns the lists that are stored whole: those of roots, and the last ones of
// issuers whose keys are destroyed.
func (p *Publisher) Stored() []*CRL { return p.stored(p.allRoots()) }

// stored is Stored for some roots.
func (p *Publisher) stored(roots []RootState) []*CRL {
	all := rootLists(roots)
	if last := p.last.Load(); last != nil {
		all = slices.Concat(all, *last)
	}
	return all
}
