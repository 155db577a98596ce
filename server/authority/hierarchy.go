package authority

import (
	"cmp"
	"errors"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A hierarchy has the keys and CA certificates that init makes, before they are
// recorded.
type hierarchy struct {
	InitConfig
	store keys.Source
	roots keys.Source // for the keys of the roots; nil means store
	name  string
	names ca.Constraints // of the roots
	now   time.Time

	baseURL string // of the plain HTTP listener

	keys        []keys.Key
	authorities []ca.Authority
	above       []*ca.Issuer // the roots
	lists       []crl.RootLists
}

func (h *hierarchy) generate(p keys.Purpose, a keys.Algorithm) (keys.Key, ca.Signer, error) {
	spec, err := Purposes().Of(p)
	if err != nil {
		return keys.Key{}, ca.Signer{}, err
	}
	store := h.store
	if spec.Offline && h.roots != nil {
		store = h.roots
	}
	k, private, err := store.Generate(p, a, h.now)
	if err != nil {
		return k, ca.Signer{}, err
	}
	h.keys = append(h.keys, k)
	if spec.Publishes != keys.Certificate {
		return k, ca.Signer{}, nil
	}
	s, err := ca.NewSigner(private)
	return k, s, err
}

// make makes a root and an issuing CA below it.
func (h *hierarchy) make(rootPurpose, issuerPurpose keys.Purpose, a keys.Algorithm,
	newRoot func(string, ca.Signer, time.Duration, time.Time, ca.Constraints) (ca.Authority, error)) (root, issuing ca.Authority, err error) {
	_, s, err := h.generate(rootPurpose, a)
	if err != nil {
		return root, issuing, err
	}
	issuer, _, err := h.generate(issuerPurpose, a)
	if err != nil {
		return root, issuing, err
	}
	if root, err = newRoot(h.name, s, h.RootLifetime, h.now, h.names); err != nil {
		return root, issuing, err
	}
	above, err := ca.RootIssuer(root, s, h.baseURL)
	if err != nil {
		return root, issuing, err
	}
	if issuing, err = ca.NewIssuing(h.name, issuer, above, h.IssuerLifetime, h.now); err != nil {
		return root, issuing, err
	}
	h.authorities, h.above = append(h.authorities, root, issuing), append(h.above, above)
	return root, issuing, nil
}

func (h *hierarchy) record(tx storage.Tx) error {
	for _, k := range h.keys {
		if _, err := Purposes().Record(tx, k, keys.StateActive, h.now); err != nil {
			return err
		}
	}
	var errs []error
	for _, a := range h.authorities {
		errs = append(errs, ca.PutAuthority(tx, a))
	}
	for _, l := range h.lists {
		errs = append(errs, l.Record(tx))
	}
	return errors.Join(errs...)
}

// sign has the roots sign their first CRLs: from now on their keys may be kept elsewhere.
func (h *hierarchy) sign() error {
	for _, root := range h.above {
		var issued []ca.Authority
		for _, a := range h.authorities {
			if a.Root == root.ID && a.ID != root.ID {
				issued = append(issued, a)
			}
		}
		about, err := crl.Good(issued)
		if err != nil {
			return err
		}
		lists, err := h.signLists(root, about)
		if err != nil {
			return err
		}
		h.lists = append(h.lists, lists)
	}
	return nil
}

// signLists has a root sign its first lists: a series, if it is kept elsewhere from now on.
func (h *hierarchy) signLists(root *ca.Issuer, about []crl.Statement) (crl.RootLists, error) {
	if h.roots == nil {
		return crl.SignRoot(root, about, crl.RootLists{}, h.now, ocsp.Ahead)
	}
	return crl.SignSeries(root, about, crl.RootLists{}, cmp.Or(h.RootLists, rootLists), h.now, ocsp.Ahead)
}
