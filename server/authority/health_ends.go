package authority

import (
	"context"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// How long before an end operators hear of it. A root takes longest to replace: all that
// trust it must be told.
var (
	issuerNotice  = notice{warning: day(30), critical: day(7)}
	rootNotice    = notice{warning: day(180), critical: day(30)}
	rootCRLNotice = notice{warning: day(30), critical: day(7)}
)

// An end is when something that operators look after ends.
type end struct {
	what   string // the kind, for metrics: "issuer", "https-issuer", "profile-issuer", "root"
	name   string
	id     string    // of the reason
	begins time.Time // zero means long ago
	ends   time.Time
	mend   func() string // which may have to look for key files
	stops  bool          // without it, the authority cannot issue or answer
	notice notice
}

// issuersEnd returns when the issuers end that sign. It leaves out issuers that no profile needs.
func (a *Authority) issuersEnd() []end {
	i := a.CA.Issuer()
	all := []end{{"issuer", "the issuer", issuerEnds, i.NotBefore, i.NotAfter, a.howToRotate(keys.Issuer, ""), true, issuerNotice}}
	if https := a.CA.HTTPSIssuer(); https != i {
		all = append(all, end{"https-issuer", "the https-issuer", issuerEnds, https.NotBefore, https.NotAfter, a.howToRotate(keys.HTTPSIssuer, ""), true, issuerNotice})
	}
	for _, name := range a.special() {
		if p, err := a.CA.IssuerOf(name); err == nil && p != i {
			mend := a.howToRotate(keys.ProfileIssuer, a.CA.Profiles()[name].Algorithm)
			all = append(all, end{"profile-issuer", "the profile-issuer of the profile " + name, issuerEnds, p.NotBefore, p.NotAfter, mend, false, issuerNotice})
		}
	}
	return all
}

// howToRotate returns what finds the command by which the next key of a purpose comes. The
// algorithm may be left out where one key is active.
func (a *Authority) howToRotate(p keys.Purpose, alg keys.Algorithm) func() string {
	rotate := "run brevet key rotate " + string(p)
	if alg != "" {
		rotate += " --algorithm " + string(alg)
	}
	return func() string { return a.rotatesNow(p, alg, rotate) }
}

// rootsEnd returns when the roots end.
func (a *Authority) rootsEnd(ctx context.Context) (all []end, err error) {
	err = a.DB.View(ctx, func(tx storage.Tx) error {
		all = nil
		roots, err := publishedRoots(tx)
		for _, r := range roots {
			mend := func() string { return a.succeeds(r) }
			if slices.ContainsFunc(roots, func(o ca.Root) bool { return o.Key.Purpose == r.Key.Purpose && o.NotAfter.After(r.NotAfter) }) {
				mend = func() string { return "run brevet key withdraw " + r.ID + " when everybody trusts the new root" }
			}
			all = append(all, end{"root", "the root " + r.ID, rootEnds, time.Time{}, r.NotAfter, mend, false, rootNotice})
		}
		return err
	})
	return all, err
}

// endReasons are about what ends.
func endReasons(ends []end, now time.Time) (found []api.Reason) {
	for _, e := range ends {
		level := e.notice.level(e.begins, e.ends, now)
		if level == api.OK {
			continue
		}
		r := api.Reason{ID: e.id, Level: level, Text: e.name + " " + when(e.ends, now), Mend: e.mend()}
		r.Stops = e.stops && !now.Before(e.ends)
		found = append(found, r)
	}
	return found
}

// profileReasons are about profiles that no issuer has the algorithm of.
func (a *Authority) profileReasons() (found []api.Reason) {
	for _, name := range a.special() {
		if _, err := a.CA.IssuerOf(name); err != nil {
			found = append(found, warning(profileWithout, "run brevet key rotate "+string(keys.ProfileIssuer)+" --algorithm "+string(a.CA.Profiles()[name].Algorithm),
				"no certificates can be issued by the profile %s: %v", name, err))
		}
	}
	return found
}

// httpsReasons are about the server's own certificate, which the server renews by itself
// when a third of its time is left.
func (a *Authority) httpsReasons() []api.Reason {
	const mend = "the server tries again each minute, and its log says what fails"
	c, now := a.Own.Current(), a.Clock.Shown()
	switch {
	case c == nil:
		return []api.Reason{stops(critical(httpsEnds, mend, "the server has no HTTPS certificate"))}
	case !now.Before(c.Leaf.NotAfter) || now.Before(c.Leaf.NotBefore):
		return []api.Reason{critical(httpsEnds, mend, "the server's HTTPS certificate is not valid: it %s", when(c.Leaf.NotAfter, now))} // a handshake renews it
	case c.Leaf.NotAfter.Sub(now) < c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)/5:
		return []api.Reason{warning(httpsEnds, mend, "the server's HTTPS certificate is not renewed: it %s", when(c.Leaf.NotAfter, now))}
	}
	return nil
}

// rootCRLReasons are about what will keep relying parties from checking chains.
func (a *Authority) rootCRLReasons(now time.Time) (found []api.Reason) {
	for _, r := range a.CRL.Roots() {
		until := r.Until()
		level := rootCRLNotice.level(until.Add(-day(365)), until, now)
		switch {
		case r.Number == 0:
			found = append(found, warning(rootCRLEnds, a.signs(r), "the root %s has signed no CRL", r.Root))
		case level != api.OK:
			found = append(found, api.Reason{ID: rootCRLEnds, Level: level, Text: "the last CRL that the root " + r.Root + " has signed " + when(until, now), Mend: a.signs(r)})
		case r.Late && !r.Online && len(r.Unlisted) == 0:
			found = append(found, warning(rootCRLLate, a.signs(r), "the CRL of the root %s does not know its issuers as they are now", r.Root))
		}
		for _, id := range r.Unlisted { // whoever checks the chain still accepts forgeries
			found = append(found, critical(issuerUnlisted, a.signs(r), "the CRL of the root %s does not revoke the CA %s, as the authority does", r.Root, id))
		}
	}
	return found
}

// IssuerEnds returns when the first of the active issuers ends.
func (a *Authority) IssuerEnds() (first time.Time) {
	for _, e := range a.issuersEnd() {
		if first.IsZero() || e.ends.Before(first) {
			first = e.ends
		}
	}
	return first
}

// RootCRLEnds returns when the first of the roots' CRLs ends, the ones signed ahead
// included. It is the zero time if a root has signed none.
func (a *Authority) RootCRLEnds() (end time.Time) {
	for n, r := range a.CRL.Roots() {
		if until := r.Until(); n == 0 || until.Before(end) {
			end = until
		}
	}
	return end
}

// Ends returns for each kind of thing that ends when the first of the kind does.
func (a *Authority) Ends(ctx context.Context) map[string]time.Time {
	first := map[string]time.Time{}
	roots, _ := a.rootsEnd(ctx) // the health tells of what cannot be read
	for _, e := range append(a.issuersEnd(), roots...) {
		if t, ok := first[e.what]; !ok || e.ends.Before(t) {
			first[e.what] = e.ends
		}
	}
	if end := a.RootCRLEnds(); !end.IsZero() {
		first["root-crl"] = end
	}
	if end := a.agentKeysEnd.Load(); end != nil && !end.IsZero() {
		first["agent-key"] = *end
	}
	if c := a.Own.Current(); c != nil {
		first["https-certificate"] = c.Leaf.NotAfter
	}
	return first
}
