// Package address says under which URLs the authority is reached. Usually there is one,
// which brevet.yaml says. If an operator moves the authority to another URL, agents are led
// there at once. Tokens name the old URL as their issuer until a date. The server answers at
// the old URL until the last agent and the last credential that depend on it have ended.
package address

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// An Address is one URL of the authority. It is stored as JSON: fields may be added, and
// none changes its meaning.
type Address struct {
	URL    string    `json:"url"`             // of an https origin, without a slash at its end
	Since  time.Time `json:"since,omitzero"`  // when agents were led there; zero means always
	Issues time.Time `json:"issues,omitzero"` // from when on it is the issuer of tokens; zero means always
	Ends   time.Time `json:"ends,omitzero"`   // of a former one: from when on nothing needs it
	Base   string    `json:"base,omitempty"`  // of a former one: of the plain HTTP URLs in certificates
	Covers time.Time `json:"covers,omitzero"` // of a former one: when the last certificate of an agent has ended that names Base
	Moved  time.Time `json:"moved,omitzero"`  // of a former one: certificates issued later do not name Base
	Last   time.Time `json:"last,omitzero"`   // of a former one: when the last certificate has ended of those issued until Moved
}

// A List has the addresses in the order in which they came. The last one is where agents
// are led.
type List []Address

// table holds the one list, once the authority has moved.
const (
	table = storage.Table[List]("addresses")
	key   = "list"
)

// maxAddresses bounds the list.
const maxAddresses = 8

// Load returns the list on record; it is empty if the authority never moved.
func Load(tx storage.Tx) (List, error) {
	l, err := table.Get(tx, key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	return l, err
}

// Save stores the list.
func (l List) Save(tx storage.Tx) error { return table.Put(tx, key, l) }

// Of returns the list that holds for an authority that is at the URL written in brevet.yaml.
// A list without that URL is about another place, and means nothing.
func (l List) Of(written string) List {
	if slices.ContainsFunc(l, func(a Address) bool { return a.URL == written }) {
		return l
	}
	return List{{URL: written}}
}

// Current returns where agents are led.
func (l List) Current() string { return l[len(l)-1].URL }

// Issuer returns the issuer of tokens that are issued at t.
func (l List) Issuer(t time.Time) string {
	for _, a := range slices.Backward(l) {
		if !t.Before(a.Issues) {
			return a.URL
		}
	}
	return l[0].URL
}

// InUse returns the URLs that are answered at now, the current one first.
func (l List) InUse(now time.Time) []string {
	urls := []string{l.Current()}
	for _, a := range slices.Backward(l[:len(l)-1]) {
		if now.Before(a.Ends) && !slices.Contains(urls, a.URL) {
			urls = append(urls, a.URL)
		}
	}
	return urls
}

// Former returns the addresses that something still needs at now, besides the current one.
func (l List) Former(now time.Time) (former []Address) {
	for _, a := range l[:len(l)-1] {
		if now.Before(a.Ends) && a.URL != l.Current() {
			former = append(former, a)
		}
	}
	return former
}

// Switch returns from when on the current URL is the issuer, if it is not yet at now.
func (l List) Switch(now time.Time) (at time.Time, waiting bool) {
	last := l[len(l)-1]
	return last.Issues, now.Before(last.Issues)
}

// Has reports whether a URL, written like this, is in use at now.
func (l List) Has(url string, now time.Time) bool {
	return url == l.Current() || slices.ContainsFunc(l, func(a Address) bool { return a.URL == url && now.Before(a.Ends) })
}

// Find returns which of the URLs in use names the same audience as aud, or "".
func (l List) Find(aud string, now time.Time) string {
	for _, u := range l.InUse(now) {
		if agents.SameAudience(aud, u) {
			return u
		}
	}
	return ""
}

// At returns which of the URLs in use a request was made to, by its Host. Any other host
// stands for the current URL.
func (l List) At(host string, now time.Time) string {
	if len(l) > 1 {
		host = strings.TrimSuffix(strings.ToLower(host), ":443")
		for _, u := range l.InUse(now) {
			if strings.TrimPrefix(u, "https://") == host {
				return u
			}
		}
	}
	return l.Current()
}

// Host returns the host of an address, without its port.
func Host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
