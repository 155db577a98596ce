package ca

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// UnderRoot returns a warning if a root of one algorithm makes an issuer of another
// weaker, or less widely accepted, than the issuer's algorithm suggests. Otherwise
// it returns "".
func UnderRoot(root, issuer keys.Algorithm) string {
	switch {
	case plain(root) && !plain(issuer):
		return fmt.Sprintf("The root that vouches for it has a classical key (%s), so the chain is no stronger than that: verifiers that require hybrid signatures refuse it. For a hybrid root, run brevet key rotate root --algorithm ALGORITHM.", root)
	case !root.Classical() && issuer.Classical():
		return fmt.Sprintf("The root that vouches for it has a key (%s) that stock TLS clients cannot check, so they cannot check the chain either.", root)
	}
	return ""
}

// plain reports whether a makes no post-quantum signatures at all.
func plain(a keys.Algorithm) bool { return a.Classical() && a.Alternative() == "" }

// A Root is a root on record, with what it has signed: certificates of issuing CAs, and
// cross-certificates of other roots.
type Root struct {
	Authority
	Key    keys.Key    // the zero Key if it is somebody else's
	Issued []Authority // by identifier
}

// Roots returns the roots whose keys are this authority's, also those that were withdrawn.
func Roots(tx storage.Tx) ([]Root, error) {
	above, issued, err := Authorities(tx)
	if err != nil {
		return nil, err
	}
	for a, err := range further.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		issued = append(issued, a)
	}
	var roots []Root
	for _, a := range above {
		k, err := keys.Get(tx, a.ID)
		if errors.Is(err, storage.ErrNotFound) {
			continue // somebody else's, who publishes its CRL
		}
		if err != nil {
			return nil, err
		}
		r := Root{Authority: a, Key: k}
		for _, i := range issued {
			if i.Root == a.ID && i.belowRoot() {
				r.Issued = append(r.Issued, i)
			}
		}
		slices.SortStableFunc(r.Issued, func(a, b Authority) int { return cmp.Compare(a.ID, b.ID) })
		roots = append(roots, r)
	}
	return roots, nil
}

// Certifies reports whether a root with the key k certifies the issuers of a purpose. https
// says that there is an https-root.
func Certifies(k keys.Key, p keys.Purpose, https bool) bool {
	switch k.Purpose {
	case keys.Root:
		return p != keys.HTTPSIssuer || !https || k.Algorithm.Classical()
	case keys.HTTPSRoot:
		return p == keys.HTTPSIssuer
	}
	return false
}

// Above returns the published roots of this authority that certify the issuers of a
// purpose, the one that leads first. The https-issuers are certified by the https-roots
// and by every other root that stock TLS clients know.
func Above(tx storage.Tx, p keys.Purpose) ([]Root, error) {
	all, err := PublishedRoots(tx)
	if err != nil {
		return nil, err
	}
	https := slices.ContainsFunc(all, func(r Root) bool { return r.Key.Purpose == keys.HTTPSRoot })
	var above []Root
	for _, r := range all {
		if Certifies(r.Key, p, https) {
			above = append(above, r)
		}
	}
	if len(above) == 0 {
		return nil, fmt.Errorf("finding the root: %w", storage.ErrNotFound)
	}
	return above, nil
}

// Online reports whether the private key of a root is here. An operator may keep it
// elsewhere.
func (ca *CA) Online(r Root) (bool, error) { return ca.keys.Has(r.Key) }

// Open unseals the key of a root and returns it as an issuer. Nothing keeps the
// issuer in memory.
func (ca *CA) Open(r Root) (*Issuer, error) { return r.open(ca.keys, ca.baseURL()) }

func (r Root) open(source keys.Source, baseURL string) (*Issuer, error) {
	private, err := source.Signer(r.Key)
	if err != nil {
		return nil, err
	}
	s, err := NewSigner(private)
	if err != nil {
		return nil, err
	}
	return RootIssuer(r.Authority, s, baseURL)
}
