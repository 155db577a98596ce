package operator

import (
	"context"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// rotateCompromised replaces a key that is stolen. The receipt says what it had signed
// that was alive.
func (s *Service) rotateCompromised(ctx context.Context, p policy.Principal, asked authority.Rotation) (api.Rotated, error) {
	old, err := s.Authority.Outgoing(ctx, asked.Purpose, asked.Algorithm)
	if err != nil { // which the rotation will fail with too, and record
		_, err = s.Authority.Rotate(ctx, p, asked)
		return api.Rotated{}, err
	}
	ended, err := s.signedBy(ctx, old.ID)
	if err != nil {
		return api.Rotated{}, err
	}
	asked.Counts, asked.Agents = *counts(count(ended, s.Clock.Now(), 0)), named(holders(ended))
	id, err := s.Authority.Rotate(ctx, p, asked)
	if err != nil {
		return api.Rotated{}, err
	}
	out, err := s.rotated(ctx, id, true)
	if err != nil {
		return out, err
	}
	if spec, err := authority.Purposes().Of(asked.Purpose); err == nil && spec.Rotation == keys.Overlap {
		out.Remarks = append(out.Remarks, compromisedRootRemarks(old)...)
		return out, nil
	}
	if out.State == string(keys.StateNext) { // its root's key is kept elsewhere
		r, err := s.Authority.Requested(ctx, asked.Purpose)
		if err != nil {
			return out, err
		}
		request := newRootRequest(r)
		out.Request = &request
		out.Remarks = []string{fmt.Sprintf("The %s %s is stopped, and its successor %s waits for its certificate.", old.Purpose, old.ID, id)}
	}
	receipt := s.receipt(ctx, ended, 0)
	out.Ended = &receipt
	return out, nil
}

// signedBy returns the credentials of a key that can be used now.
func (s *Service) signedBy(ctx context.Context, key string) (found []holding, err error) {
	var by choice = func(_ agents.Agent, c agents.Credential) bool { return c.Issuer == key }
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		found, err = by.at(tx, s.Clock.Now())
		return err
	})
	return found, err
}

// destroyedBefore is the answer about a key that is not on record: it was destroyed, or there
// was none.
func (s *Service) destroyedBefore(ctx context.Context, id string, unknown error) (out api.Destroyed, err error) {
	purpose, found, err := s.Authority.Destroyed(ctx, id)
	if err == nil && !found {
		err = unknown
	}
	out.ID, out.Purpose = id, string(purpose)
	out.Note = fmt.Sprintf("the %s key %s was destroyed already", purpose, id)
	return out, err
}

// destroyKey destroys the private half of a retired key.
func (s *Service) destroyKey(ctx context.Context, p policy.Principal, in api.DestroyRequest) (api.Destroyed, error) {
	k, err := s.Authority.Key(ctx, in.ID)
	if errors.Is(err, storage.ErrNotFound) {
		return s.destroyedBefore(ctx, in.ID, err)
	}
	if err != nil {
		return api.Destroyed{}, err
	}
	asked := authority.Destruction{ID: k.ID, Compromised: in.Compromised}
	var ended []holding
	if in.Compromised {
		if ended, err = s.signedBy(ctx, k.ID); err != nil {
			return api.Destroyed{}, err
		}
		asked.Counts, asked.Agents = *counts(count(ended, s.Clock.Now(), 0)), named(holders(ended))
	}
	if err := s.Authority.Destroy(ctx, p, asked); err != nil {
		return api.Destroyed{}, err
	}
	out := api.Destroyed{Key: newKey(k, ca.Authority{})}
	if in.Compromised {
		receipt := s.receipt(ctx, ended, 0)
		out.Ended = &receipt
	}
	return out, nil
}
