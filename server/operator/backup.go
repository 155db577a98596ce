package operator

import (
	"context"
	"io"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Backup writes a copy of the store, as of one instant, and its signed digest to w. Then it
// records that. The copy is good even if the record fails, as on a full disk: that is logged.
func (s *Service) Backup(ctx context.Context, p policy.Principal, w io.Writer) error {
	p, err := s.may(ctx, p, audit.AuthorityBackup, "")
	if err != nil {
		return err
	}
	var made authority.BackupRecord
	written := false
	q := policy.Query{Principal: p, Action: audit.AuthorityBackup, Subject: string(s.TrustDomain), Time: s.Clock.Now()}
	// The client may hang up once it has the copy.
	err = s.Policy.Do(context.WithoutCancel(ctx), q, policy.Act{
		Prepare: func(context.Context, *policy.Decision) (err error) {
			if written { // Do starts over
				return nil
			}
			if made, err = s.Authority.Backup(ctx, w); err == nil {
				written = true
			}
			return err
		},
		Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
			return policy.Done{Details: &audit.Details{Size: made.Size}}, authority.NoteBackup(tx, made)
		},
	})
	if err != nil && written && !policy.IsDenial(err) {
		s.Log.Error("a backup was made and could not be recorded", "request", audit.RequestOf(ctx), "error", err)
		return nil
	}
	return err
}
