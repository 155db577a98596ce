package crl

import (
	"errors"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
)

// A draft is a list of one issuer that is being made.
type draft struct {
	issuer *ca.Issuer
	last   CRL
	date   time.Time // when it is made
	from   time.Time // certificates that expired before are not listed
	latest time.Time // the time of the latest revocation on it
	list
}

func newDraft(tx storage.Tx, issuer *ca.Issuer, date time.Time, doubt time.Duration) (*draft, error) {
	last, err := table.Get(tx, issuer.ID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	d := &draft{issuer: issuer, last: last, date: date, from: date, list: list{Number: last.Number + 1, NextUpdate: date.Add(Lifetime)}}
	if last.Regular.Before(d.from) {
		d.from = last.Regular
	}
	// The list is backdated for relying parties with a slow clock. They still accept
	// certificates that have just expired, so those stay listed, too.
	d.from = d.from.Add(-ca.Backdate - doubt)
	return d, nil
}

// thisUpdate backdates the list for relying parties with a slow clock, which should
// reject a list from the future. The date is never before the latest revocation on the
// list, nor before the date of the previous list.
func (d *draft) thisUpdate() time.Time {
	this := d.date.Add(-ca.Backdate)
	for _, t := range []time.Time{d.latest, d.last.ThisUpdate} {
		if t.After(this) && !t.After(d.date) {
			this = t
		}
	}
	return this
}

func (d *draft) sign(regular bool) (*CRL, error) {
	d.ThisUpdate = d.thisUpdate()
	c := &CRL{
		Issuer: d.issuer.ID, Number: d.Number, ThisUpdate: d.ThisUpdate, NextUpdate: d.NextUpdate,
		Regular: d.last.Regular, Entries: d.Len, sameDate: d.last.ThisUpdate.Equal(d.ThisUpdate),
	}
	if regular {
		c.Regular = d.date
	}
	var err error
	c.DER, err = d.encode(d.issuer)
	return c, err
}

// fill lists the revoked certificates that expire at the list's from or later, each with
// its issuer. An expired certificate stays until a regular list has been published after
// its expiry (RFC 5280, section 3.3).
func fill(tx storage.Tx, drafts []*draft, now time.Time) error {
	standing := agents.NewStanding(tx, now)
	by := map[string]*draft{}
	from := drafts[0].from
	for _, d := range drafts {
		by[d.issuer.ID] = d
		if d.from.Before(from) {
			from = d.from
		}
	}
	for c, err := range ca.Since(tx, from) {
		if err != nil {
			return err
		}
		d := by[c.Issuer]
		if d == nil || c.ID.Expires().Before(d.from) {
			continue
		}
		cutoff, dead, err := Revoked(standing, c.Credential, d.date)
		if err != nil {
			return err
		}
		if !dead {
			continue
		}
		if at := cutoff.Date().Truncate(time.Second); at.After(d.latest) {
			d.latest = at
		}
		if err := d.add(c.ID[:], cutoff); err != nil {
			return err
		}
	}
	return nil
}

// Revoked returns the cutoff that ended a certificate, if any, as CRLs and OCSP answers
// of the given date report it.
func Revoked(standing *agents.Standing, c agents.Credential, date time.Time) (agents.Cutoff, bool, error) {
	cutoff, dead, err := standing.Ended(c)
	if cutoff.Date().After(date) { // the cutoff lies ahead, or the clock was set back
		cutoff.Made = date
	}
	return cutoff, dead, err
}
