package authority

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// findKeys finds the keys that the certificates are for, which must wait. It leaves out
// what a new root signs besides.
func (i *installation) findKeys(tx storage.Tx) error {
	waits := map[string]keys.Key{}
	for _, spec := range Purposes().With(func(s keys.PurposeSpec) bool { return s.Rotation == keys.ByRoot }) {
		next, err := nextKeys(tx, spec.Purpose)
		if err != nil {
			return err
		}
		for _, k := range next {
			if k.SignsFrom.IsZero() { // else it has its certificate
				waits[k.ID] = k
			}
		}
	}
	for _, p := range i.parts {
		seen := map[string]bool{}
		for _, der := range p.response.Certificates {
			id, err := subjectID(der)
			if err != nil {
				return err
			}
			if seen[id] {
				return fmt.Errorf("%w: the response has two certificates by one root for the key %.40s", agents.ErrTransition, id)
			}
			seen[id] = true
			k, found := waits[id]
			switch {
			case found && !slices.ContainsFunc(i.keys, func(o keys.Key) bool { return o.ID == id }):
				i.keys = append(i.keys, k)
			case !found && i.fresh == nil:
				return fmt.Errorf("%w: the certificate is for the key %.40s, which waits for none: brevet key list shows those that do (%s)", agents.ErrTransition, id, keys.StateNext)
			}
		}
	}
	return nil
}

// known reports whether all that is in the response was installed before.
func (i *installation) known(tx storage.Tx) (bool, error) {
	if i.fresh != nil {
		return false, nil
	}
	certificates, err := ca.Certificates(tx)
	if err != nil {
		return false, err
	}
	for _, p := range i.parts {
		lists, err := crl.Last(tx, p.root.ID)
		if err != nil {
			return false, err
		}
		for _, der := range p.response.Certificates {
			if !slices.ContainsFunc(certificates, func(c ca.Authority) bool { return bytes.Equal(c.Certificate, der) }) {
				return false, nil
			}
		}
		for _, l := range p.response.Lists {
			if !slices.ContainsFunc(lists.All(), func(had crl.RootList) bool { return bytes.Equal(had.DER, l.CRL) }) {
				return false, nil
			}
		}
	}
	return true, i.findAnnounced(tx)
}

// findAnnounced finds the keys that the certificates are for and that do not sign yet.
func (i *installation) findAnnounced(tx storage.Tx) error {
	for _, p := range i.parts {
		for _, der := range p.response.Certificates {
			id, err := subjectID(der)
			if err != nil {
				return err
			}
			k, err := keys.Get(tx, id)
			if errors.Is(err, storage.ErrNotFound) {
				continue // it was destroyed
			}
			if err != nil {
				return err
			}
			if k.State == keys.StateNext && !k.SignsFrom.IsZero() && !slices.ContainsFunc(i.keys, func(o keys.Key) bool { return o.ID == id }) {
				i.keys = append(i.keys, k)
			}
		}
	}
	return nil
}
