package crl

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/ca"
)

// A root whose key is kept elsewhere for good signs a series of lists at once. Each may be
// used for seriesLifetime, and the next one is published seriesInterval after it.
const (
	seriesInterval = 30 * 24 * time.Hour
	seriesLifetime = seriesInterval + RootLifetime
)

// MaxSeries is how many lists a series may have: those of two years.
const MaxSeries = 24

// SignSeries is [SignRoot] for a series of n lists.
func SignSeries(root *ca.Issuer, about []Statement, last RootLists, n int, date time.Time, answers Answers) (RootLists, error) {
	date = date.UTC().Truncate(time.Second)
	windows := make([]window, n)
	for i := range windows {
		from := date.Add(time.Duration(i) * seriesInterval)
		windows[i] = window{from, from.Add(seriesLifetime)}
	}
	return last.sign(root, about, windows, date, answers)
}

// SeriesEnd returns until when a series of n lists may be used that is signed at date.
func SeriesEnd(n int, date time.Time) time.Time {
	return date.UTC().Truncate(time.Second).Add(time.Duration(n-1)*seriesInterval + seriesLifetime)
}

// All returns the lists that are published or will be, in their order.
func (l RootLists) All() []RootList {
	if l.Ahead == nil {
		return []RootList{l.Current}
	}
	return slices.Concat([]RootList{l.Current, *l.Ahead}, l.Later)
}

// at returns l with the list as Current that is to be published at date while nobody can
// sign. The next list takes over when the last one may be used for only half a week. All
// lists stay on record: a clock that was wrong for a while loses none.
func (l RootLists) at(date time.Time) RootLists {
	for l.Ahead != nil && !date.Before(l.Ahead.ThisUpdate) && !date.Before(l.Current.NextUpdate.Add(-RootLifetime/2)) {
		l.Current, l.Ahead = *l.Ahead, nil
		if len(l.Later) > 0 {
			l.Ahead, l.Later = &l.Later[0], l.Later[1:]
		}
	}
	return l
}

// unlisted returns the issuers of a root that are revoked and not on its current list.
func (l RootLists) unlisted(root ca.Root, about []Statement) (ids []string) {
	listed := map[string]bool{}
	if list, err := x509.ParseRevocationList(l.Current.DER); err == nil {
		for _, e := range list.RevokedCertificateEntries {
			listed[string(e.SerialNumber.Bytes())] = true
		}
	}
	for n, s := range about {
		if s.Revoked && !listed[string(s.Serial)] {
			ids = append(ids, root.Issued[n].ID)
		}
	}
	return ids
}

// Each calls f with each list of [RootLists.All], which f may change.
func (l *RootLists) Each(f func(n int, list *RootList) error) error {
	all := []*RootList{&l.Current}
	if l.Ahead != nil {
		all = append(all, l.Ahead)
	}
	for n := range l.Later {
		all = append(all, &l.Later[n])
	}
	for n, list := range all {
		if err := f(n, list); err != nil {
			return err
		}
	}
	return nil
}
