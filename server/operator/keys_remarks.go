package operator

import (
	"context"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

// rotated describes a new key. The operator may have asked for it to sign at once.
func (s *Service) rotated(ctx context.Context, id string, now bool) (out api.Rotated, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		all, err := authority.Purposes().List(tx)
		if err != nil {
			return err
		}
		k, err := keys.Get(tx, id)
		if err != nil {
			return err
		}
		cas, err := caCertificates(tx)
		if err != nil {
			return err
		}
		out = api.Rotated{Key: newKey(k, cas[k.ID]), Remarks: remarks(k, all)}
		early, err := s.early(tx, k, all, cas, now)
		out.Remarks = append(out.Remarks, early...)
		return err
	})
	return out, err
}

// early says what follows from it that a key signs although others do not know it yet.
func (s *Service) early(tx storage.Tx, k keys.Key, all []keys.Key, cas map[string]ca.Authority, now bool) (said []string, err error) {
	spec, err := authority.Purposes().Of(k.Purpose)
	if err != nil || k.State != keys.StateActive {
		return nil, err
	}
	switch {
	case spec.Announced > 0 && s.Clock.Now().Before(spec.SignsFrom(k)):
		return []string{fmt.Sprintf("It was not announced: relying parties that have cached the public keys refuse what it signs, for %s at most.", clock.FormatDuration(tokens.CacheLifetime))}, nil
	case spec.Listed == 0 || !k.SignsFrom.IsZero() && !k.Activated.Before(k.SignsFrom):
		return nil, nil
	}
	if !now {
		said, err = notAnnounced(tx, k, all, cas)
	}
	return append(said, "Servers that load a file of CRLs refuse what it signs until they have loaded the new /crl/bundle.pem."), err
}

// notAnnounced says why an issuer was not announced although nobody asked for that.
func notAnnounced(tx storage.Tx, k keys.Key, all []keys.Key, cas map[string]ca.Authority) ([]string, error) {
	for _, old := range all {
		if old.Purpose != k.Purpose || old.State != keys.StateRetired || !old.Retired.Equal(k.Activated) {
			continue
		}
		if compromised, err := agents.IssuerCompromised(tx, old.ID); err != nil {
			return nil, err
		} else if compromised {
			return []string{fmt.Sprintf("It was not announced, because the old %s is compromised.", k.Purpose)}, nil
		}
		return []string{fmt.Sprintf("It was not announced, because the old %s ends at %s.", k.Purpose, cas[old.ID].NotAfter.UTC().Format(time.RFC3339))}, nil
	}
	return nil, nil
}

// remarks says what else an operator should know about a new key that works beside
// others.
func remarks(k keys.Key, all []keys.Key) (said []string) {
	switch k.Purpose {
	case keys.Root, keys.HTTPSRoot:
		return rootRemarks(k, all)
	case keys.Issuer, keys.ProfileIssuer:
	default:
		return nil
	}
	for _, other := range all {
		switch {
		case other.Purpose == keys.HTTPSIssuer && !other.SignsFrom.IsZero() && other.State == keys.StateNext && k.State == keys.StateNext && other.SignsFrom.Equal(k.SignsFrom):
			said = append(said, fmt.Sprintf("TLS clients cannot check what it signs: the server's own certificate will then come from the %s %s (%s), which is published, too, and whose file is new as well.", other.Purpose, other.ID, other.Algorithm))
		case other.State != keys.StateActive:
		case k.Purpose == keys.ProfileIssuer && other.Purpose == keys.Issuer && other.Algorithm == k.Algorithm:
			said = append(said, "It signs nothing yet: the issuer has the same algorithm and signs for the profiles that want it, until it is rotated to another.")
		case other.Purpose == keys.HTTPSIssuer && other.Activated.Equal(k.Activated):
			said = append(said, fmt.Sprintf("TLS clients cannot check what it signs: the server's own certificate will come from the new %s %s (%s), whose file is new as well.", other.Purpose, other.ID, other.Algorithm))
		case other.Purpose == keys.Root:
			if remark := ca.UnderRoot(other.Algorithm, k.Algorithm); remark != "" {
				said = append(said, remark)
			}
		}
	}
	return said
}
