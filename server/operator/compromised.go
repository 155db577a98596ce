package operator

import (
	"context"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
)

// rotateCompromised replaces a key that is stolen. The receipt says what it had signed
// that was alive.
func (s *Service) rotateCompromised(ctx context.Context, p policy.Principal, asked authority.Rotation) (api.Rotated, error) {
	old, err := s.Authority.Outgoing(ctx, asked.Purpose, asked.Algorithm)
	if err != nil { // which the rotation will fail with too, and record
		_, err = s.Authority.Rotate(ctx, p, asked)
		return api.Rotated{}, err
	}
	var ended []holding
	held := s.surveyed(ctx, func(_ agents.Agent, c agents.Credential) bool { return c.Issuer == old.ID })
	if err := s.DB.View(ctx, func(tx storage.Tx) (err error) {
		ended, err = held(tx, s.Clock.Now())
		return err
	}); err != nil {
		return api.Rotated{}, err
	}
	asked.Counts = *counts(count(ended, s.Clock.Now(), 0))
	id, err := s.Authority.Rotate(ctx, p, asked)
	if err != nil {
		return api.Rotated{}, err
	}
	out := api.Rotated{}
	if id == "" {
		out.Remarks = []string{fmt.Sprintf("The %s %s is stopped. There is no other yet: put the root's key file into the directory and run brevet key rotate %[1]s --algorithm %s.", old.Purpose, old.ID, old.Algorithm)}
	} else if out, err = s.rotated(ctx, asked.Purpose, id); err != nil {
		return out, err
	}
	receipt := s.receipt(ctx, ended, 0)
	out.Ended = &receipt
	return out, nil
}
