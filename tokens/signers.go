package tokens

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// signers are the keys that sign.
type signers struct {
	classical   *signer
	postQuantum *signer // nil if the store has no such key
}

// ErrMixed says that some audiences of a token want a post-quantum signature
// and others do not. A token has only one signature, and a classical one would be
// a downgrade for the audiences that want a post-quantum one.
var ErrMixed = agents.NewRefusal("audiences_mixed", policy.ErrDenied.Error()+": the audiences want signatures of different kinds", policy.ErrDenied)

// ErrNoSigner says that there is no key yet for the signature that an audience
// wants. No other key signs instead.
var ErrNoSigner = agents.NewRefusalOf(agents.NotNow, "no_signer", fmt.Sprintf("%v: the authority has no %s key; make one with brevet key rotate %[2]s --algorithm ALGORITHM", policy.ErrDenied, keys.TokensPQ), policy.ErrDenied)

// Reload takes the active signing keys from the store: at the start, and after
// a rotation.
func (s *Service) Reload() error {
	var active []keys.Key
	err := s.DB.View(context.Background(), func(tx storage.Tx) error {
		classical, err := keys.Active(tx, keys.Tokens)
		if err != nil {
			return err
		}
		active = []keys.Key{classical}
		switch pq, err := keys.Active(tx, keys.TokensPQ); {
		case err == nil:
			active = append(active, pq)
		case !errors.Is(err, storage.ErrNotFound):
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	var both [2]*signer
	private, err := keys.Signers(s.Keys, active...)
	if err != nil {
		return err
	}
	for i, k := range active {
		if err := checkAlgorithm(k.Purpose, k.Algorithm); err != nil {
			return fmt.Errorf("key %s: %w", k.ID, err)
		}
		if both[i], err = newSigner(k.ID, private[i]); err != nil {
			return err
		}
	}
	if both[1] == nil && len(s.PostQuantum) > 0 {
		s.Log.Warn("no tokens can be minted for the audiences that want post-quantum signatures", "error", ErrNoSigner, "audiences", s.PostQuantum)
	}
	s.signers.Store(&signers{both[0], both[1]})
	return nil
}

// signer returns the signer of a token for these audiences.
func (s *Service) signer(audiences []string) (*signer, error) {
	has, want := s.signers.Load(), 0
	for _, a := range audiences {
		if slices.ContainsFunc(s.PostQuantum, func(p string) bool { return agents.SameAudience(p, a) }) {
			want++
		}
	}
	switch {
	case want == 0:
		return has.classical, nil
	case want < len(audiences):
		return nil, fmt.Errorf("%w: ask for a token for each of %.1000s", ErrMixed, strings.Join(audiences, " "))
	case has.postQuantum == nil:
		return nil, ErrNoSigner
	}
	return has.postQuantum, nil
}
