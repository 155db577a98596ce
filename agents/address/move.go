package address

import (
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

// A Move leads the authority from the current URL to another one.
type Move struct {
	To    string
	Until time.Time // the issuer of tokens stays the same until then

	Base   string        // of the plain HTTP URLs in certificates that were issued until now
	Moved  time.Time     // certificates issued later do not name Base
	Covers time.Time     // when the last certificate has ended that names Base
	Last   time.Time     // when the last certificate has ended of those issued until Moved, whose agents know only the old URL
	Grace  time.Duration // for how long after Last such an agent may still renew
}

// TokenLife is the longest that tokens live which name an issuer: tokens.MaxLifetime, see a
// test of package authority.
const TokenLife = time.Hour

var errFull = agents.NewRefusal("addresses_full", "the authority has too many former addresses", nil)

// Move returns the list after a move at now. Addresses that nothing needs any more are left
// out. A move to the current URL changes only the date, while that lies ahead.
func (l List) Move(m Move, now time.Time) (List, error) {
	if !m.Until.After(now) {
		return nil, fmt.Errorf("%w date: %s is over; tokens keep their issuer until a time that lies ahead", agents.ErrInvalid, m.Until.UTC().Format(time.RFC3339))
	}
	last := len(l) - 1
	if m.To == l.Current() {
		if _, waiting := l.Switch(now); !waiting {
			return nil, fmt.Errorf("%w: the authority is at %s already", agents.ErrTransition, m.To)
		}
		next := slices.Clone(l)
		next[last].Issues = whole(m.Until)
		for i := range next[:last] {
			next[i].Ends = whole(latest(next[i].Ends, m.Until.Add(TokenLife)))
		}
		return next, nil
	}
	var next List
	for i, a := range l {
		switch {
		case i == last:
			a.Base, a.Moved, a.Covers, a.Last = m.Base, whole(m.Moved), whole(m.Covers), whole(m.Last)
			a.Ends = whole(latest(m.Until.Add(TokenLife), m.Covers, m.Last.Add(m.Grace)))
		case !now.Before(a.Ends):
			continue
		default: // tokens may name any of the former ones until the new date
			a.Ends = whole(latest(a.Ends, m.Until.Add(TokenLife)))
		}
		next = append(next, a)
	}
	if len(next) == maxAddresses {
		return nil, fmt.Errorf("%w: %d; the first of them is not needed from %s on", errFull, maxAddresses, next[0].Ends.UTC().Format(time.RFC3339))
	}
	return append(next, Address{URL: m.To, Since: whole(now), Issues: whole(m.Until)}), nil
}

// Lengthened returns the list in which each former address that is in use at now ends no
// earlier than agents may renew, by a window of grace, that know only this address.
func (l List) Lengthened(grace time.Duration, now time.Time) (next List, changed bool) {
	next = slices.Clone(l)
	for i := range len(next) - 1 {
		a := &next[i]
		if end := whole(a.Last.Add(grace)); now.Before(a.Ends) && end.After(a.Ends) {
			a.Ends, changed = end, true
		}
	}
	return next, changed
}

// whole is a time as it is stored: what is read back compares equal.
func whole(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func latest(first time.Time, more ...time.Time) time.Time {
	for _, t := range more {
		if t.After(first) {
			first = t
		}
	}
	return first
}
