package authority

import (
	"errors"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A hierarchy has the keys and CA certificates that init makes, before they are
// recorded.
type hierarchy struct {
	InitConfig
	store keys.Source
	name  string
	now   time.Time

	keys        []keys.Key
	authorities []ca.Authority
}

func (h *hierarchy) generate(p keys.Purpose, a keys.Algorithm) (keys.Key, ca.Signer, error) {
	spec, err := Purposes().Of(p)
	if err != nil {
		return keys.Key{}, ca.Signer{}, err
	}
	k, private, err := h.store.Generate(p, a, h.now)
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
	newRoot func(string, ca.Signer, time.Duration, time.Time) (ca.Authority, error)) (root, issuing ca.Authority, err error) {
	_, s, err := h.generate(rootPurpose, a)
	if err != nil {
		return root, issuing, err
	}
	issuer, _, err := h.generate(issuerPurpose, a)
	if err != nil {
		return root, issuing, err
	}
	if root, err = newRoot(h.name, s, h.RootLifetime, h.now); err != nil {
		return root, issuing, err
	}
	above, err := ca.RootIssuer(root, s)
	if err != nil {
		return root, issuing, err
	}
	if issuing, err = ca.NewIssuing(h.name, issuer, above, h.IssuerLifetime, h.now); err != nil {
		return root, issuing, err
	}
	h.authorities = append(h.authorities, root, issuing)
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
	return errors.Join(errs...)
}
