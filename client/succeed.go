package client

import (
	"errors"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix"
)

// apply returns what t trusts after the succession.
//
// A root is added if a trusted root vouches for it: there is a cross-certificate that is
// valid now and not on that root's CRL, which must be valid, too. A root is dropped if
// a newer one that is trusted lists its cross-certificate as revoked, and it had vouched for
// that newer one. An older root drops none, and none drops a root that did not vouch for it:
// whoever has stolen the key of an old root could else take away the new one.
//
// A root that was added ends with those that vouched for it, see holds.
func (s *succession) apply(t *trust, now time.Time) *trust {
	added := s.adopt(t, now)
	dropped := s.drop(added, now)
	for _, next := range []*trust{s.rest(dropped, now), dropped} {
		if next.reachable() {
			return next
		}
	}
	return added
}

// adopt adds the roots for which trusted ones vouch, and notes who vouches.
func (s *succession) adopt(t *trust, now time.Time) *trust {
	next := &trust{slices.Clone(t.roots), t.vouched.clone(), t.hybrid}
	for _, c := range s.roots {
		root, err := pkix.NewCertificate(c)
		if err != nil || checkRoot(root, now) != nil {
			continue
		}
		known := slices.IndexFunc(next.roots, func(o *pkix.Certificate) bool { return sameKey(root, o) })
		switch {
		case known >= 0 && !next.pinned(next.roots[known]):
			next.vouched.add(printOf(next.roots[known]), s.vouching(t, next.elders(known), root, now))
		case known < 0 && len(next.roots) < maxCertificates:
			if by := s.vouching(t, next.roots, root, now); len(by) > 0 {
				next.roots = append(next.roots, root)
				next.vouched.add(printOf(root), by)
			}
		}
	}
	return next
}

// vouching returns the subjects of those of the roots that vouch for one.
func (s *succession) vouching(t *trust, roots []*pkix.Certificate, root *pkix.Certificate, now time.Time) (by []string) {
	for _, o := range roots {
		if s.check(t, root, o, now) == nil {
			by = append(by, subjectOf(o))
		}
	}
	return by
}

// drop takes out the roots that a newer one lists as revoked.
func (s *succession) drop(t *trust, now time.Time) *trust {
	kept := &trust{slices.Clone(t.roots), t.vouched.clone(), t.hybrid}
	for _, old := range t.roots {
		if slices.ContainsFunc(t.roots, func(newer *pkix.Certificate) bool {
			return newer.X509.NotBefore.After(old.X509.NotBefore) && s.named(newer, old) && errors.Is(s.check(t, old, newer, now), pkix.ErrRevoked)
		}) {
			kept.roots = slices.DeleteFunc(kept.roots, old.Equal)
			kept.vouched.drop(old)
		}
	}
	return kept
}

// rest takes out the roots of which no line holds any more, in the order in which they came.
func (s *succession) rest(t *trust, now time.Time) *trust {
	kept := &trust{slices.Clone(t.roots), t.vouched.clone(), t.hybrid}
	ended := map[string]bool{} // by subject
	for _, root := range t.roots {
		if t.pinned(root) {
			continue
		}
		elders := kept.elders(slices.IndexFunc(kept.roots, root.Equal))
		lines := slices.DeleteFunc(kept.vouched[printOf(root)], func(l line) bool { return !s.holds(kept, l, root, elders, ended, now) })
		if kept.vouched[printOf(root)] = lines; len(lines) == 0 {
			ended[subjectOf(root)] = true
			kept.roots = slices.DeleteFunc(kept.roots, root.Equal)
			delete(kept.vouched, printOf(root))
		}
	}
	return kept
}

// holds reports whether a root is trusted on a word that counts: that of a root which is
// still trusted, or of one that is not and that no elder of the root calls revoked, if the
// same is true of whoever vouched for that one.
//
// A thief of a root's key can have an agent take a root of their own, for as
// long as the agent trusts the stolen one. The authority's own next root, which the agent
// trusted before, says that the stolen one is revoked: the thief's root ends with it. The
// thief's root can say the same, but it came later, and so ends no root that the agent had.
func (s *succession) holds(t *trust, l line, root *pkix.Certificate, elders []*pkix.Certificate, ended map[string]bool, now time.Time) bool {
	for _, subject := range l {
		if slices.ContainsFunc(elders, func(o *pkix.Certificate) bool { return subjectOf(o) == subject }) {
			return true
		}
		if ended[subject] || slices.ContainsFunc(elders, func(o *pkix.Certificate) bool {
			return (t.pinned(o) || t.vouched.names(printOf(o), subject)) && within(root.X509, o.X509) && errors.Is(s.says(t, subject, o, now), pkix.ErrRevoked)
		}) {
			return false
		}
	}
	return true
}

// elders returns the roots that were trusted before the one with an index: the pinned ones,
// and those that came before it.
func (t *trust) elders(n int) (all []*pkix.Certificate) {
	for i, o := range t.roots {
		if i != n && (i < n || t.pinned(o)) {
			all = append(all, o)
		}
	}
	return all
}

// pinned reports whether a trusted root is there because an operator said so.
func (t *trust) pinned(root *pkix.Certificate) bool {
	_, vouched := t.vouched[printOf(root)]
	return !vouched
}
