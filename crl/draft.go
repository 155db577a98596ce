package crl

import (
	"errors"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
)

// A draft is a list of one issuer on its way.
type draft struct {
	issuer *ca.Issuer
	last   CRL
	date   time.Time // when it is made
	from   time.Time // what expired before is not listed
	latest time.Time // revocation that it lists
	List
}

func newDraft(tx storage.Tx, issuer *ca.Issuer, date time.Time, doubt time.Duration) (*draft, error) {
	last, err := table.Get(tx, issuer.ID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	d := &draft{issuer: issuer, last: last, date: date, from: date, List: List{Number: last.Number + 1, NextUpdate: date.Add(Lifetime)}}
	if last.Regular.Before(d.from) {
		d.from = last.Regular
	}
	// Whose clock is so slow that the list is dated back for it takes what has just
	// expired for valid.
	d.from = d.from.Add(-ca.Backdate - doubt)
	return d, nil
}

// thisUpdate dates the list back, for relying parties whose clock is a little slow
// and who ought not to believe a list of a time that is not yet; but not to before
// what it tells of, nor before the list that came before it.
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
	c.DER, err = d.Sign(d.issuer)
	return c, err
}

// fill lists the certificates that something has killed, each with its issuer,
// and that expire at the list's from or later: one that expired stays until a
// regular list was published after that (RFC 5280, section 3.3).
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
		if err := d.Add(c.ID, cutoff); err != nil {
			return err
		}
	}
	return nil
}

// Revoked returns what ended a certificate, if anything has, as lists and OCSP
// answers of the date given say it to others.
func Revoked(standing *agents.Standing, c agents.Credential, date time.Time) (agents.Cutoff, bool, error) {
	cutoff, dead, err := standing.Ended(c)
	if cutoff.Date().After(date) { // as of later than now, or the clock was set back
		cutoff.Made = date
	}
	return cutoff, dead, err
}
