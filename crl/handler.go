package crl

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
)

// ServeHTTP serves the current list (RFC 5280, section 4.2.1.13: DER over
// plain HTTP; RFC 2585, section 4.2 for the type). Caches may store it but must
// revalidate it each time, which costs a few bytes with the ETag, so that a revocation
// shows at once.
func (p *Publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	crls := slices.Concat(p.Current(), p.Stored())
	i := slices.IndexFunc(crls, func(c *CRL) bool { return r.PathValue("file") == c.Issuer+".crl" })
	switch {
	case crls == nil:
		http.Error(w, "no CRL is published yet; try again shortly", http.StatusServiceUnavailable)
		return
	case i < 0:
		http.NotFound(w, r)
		return
	}
	c := crls[i]
	h := w.Header()
	h.Set("Content-Type", "application/pkix-crl")
	h.Set("Cache-Control", "public, no-cache")
	h.Set("Expires", c.NextUpdate.Format(http.TimeFormat))
	h.Set("ETag", fmt.Sprintf(`"%d"`, c.Number))
	// Dates tell lists apart by the second only, and not at all when the clock was set
	// back. So "not modified" by date is answered only for exactly this list.
	if c.sameDate || r.Header.Get("If-Modified-Since") != c.ThisUpdate.Format(http.TimeFormat) {
		r.Header.Del("If-Modified-Since")
	}
	http.ServeContent(w, r, "", c.ThisUpdate, bytes.NewReader(c.DER))
}

// RootLists returns the lists of the roots that are not withdrawn.
func (p *Publisher) RootLists() []*CRL { return rootLists(p.Roots()) }

// rootLists returns the lists that these roots have published.
func rootLists(roots []RootState) (all []*CRL) {
	for _, r := range roots {
		if l := r.Current; l.Number > 0 {
			all = append(all, &CRL{
				Issuer: r.Root, Number: l.Number, ThisUpdate: l.ThisUpdate, NextUpdate: l.NextUpdate, Entries: l.Entries, DER: l.DER, sameDate: true,
			})
		}
	}
	return all
}
