package ca

import (
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// UnderRoot returns a warning if a root of one algorithm makes an issuer of another
// weaker, or less widely accepted, than the issuer's algorithm suggests. Otherwise
// it returns "".
func UnderRoot(root, issuer keys.Algorithm) string {
	switch {
	case plain(root) && !plain(issuer):
		return fmt.Sprintf("The root that vouches for it has a classical key (%s), so the chain is no stronger than that: verifiers that require hybrid signatures refuse it. For a hybrid root, make a new authority.", root)
	case !root.Classical() && issuer.Classical():
		return fmt.Sprintf("The root that vouches for it has a key (%s) that stock TLS clients cannot check, so they cannot check the chain either.", root)
	}
	return ""
}

// plain reports whether a makes no post-quantum signatures at all.
func plain(a keys.Algorithm) bool { return a.Classical() && a.Alternative() == "" }

// A Root is a root on record, with the issuing CAs that it has signed.
type Root struct {
	Authority
	Key    keys.Key
	Issued []Authority
}

// Roots returns the roots whose keys are this authority's.
func Roots(tx storage.Tx) ([]Root, error) {
	above, issuers, err := Authorities(tx)
	if err != nil {
		return nil, err
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
		for _, i := range issuers {
			if i.Root == a.ID && (i.Parent == "" || i.Parent == a.ID) {
				r.Issued = append(r.Issued, i)
			}
		}
		roots = append(roots, r)
	}
	return roots, nil
}

// Online reports whether the private key of a root is here. An operator may keep it
// elsewhere.
func (ca *CA) Online(r Root) (bool, error) { return ca.keys.Has(r.Key) }

// Open unseals the key of a root and returns it as an issuer. Nothing keeps the
// issuer in memory.
func (ca *CA) Open(r Root) (*Issuer, error) { return ca.open(r.Key, r.Authority) }

func (ca *CA) open(key keys.Key, root Authority) (*Issuer, error) {
	private, err := ca.keys.Signer(key)
	if err != nil {
		return nil, err
	}
	s, err := NewSigner(private)
	if err != nil {
		return nil, err
	}
	return RootIssuer(root, s, ca.baseURL)
}
