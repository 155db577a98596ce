package operator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Backup writes a copy of the store, as of one instant, and its signed digest to w. Then it
// records that it was sent. The copy is good even if the record fails, as on a full disk: that
// is logged. It counts as a backup once the operator confirms that it arrived.
func (s *Service) Backup(ctx context.Context, p policy.Principal, w io.Writer) error {
	p, err := s.may(ctx, p, audit.AuthorityBackup, "")
	if err != nil {
		return err
	}
	var made authority.BackupRecord
	written, hash := false, sha256.New()
	q := policy.Query{Principal: p, Action: audit.AuthorityBackup, Subject: string(s.TrustDomain), Time: s.Clock.Now()}
	// The client may hang up once it has the copy.
	err = s.Policy.Do(context.WithoutCancel(ctx), q, policy.Act{
		Prepare: func(context.Context, *policy.Decision) (err error) {
			if written { // Do starts over
				return nil
			}
			if made, err = s.Authority.Backup(ctx, io.MultiWriter(w, hash)); err == nil {
				written = true
			}
			return err
		},
		Change: func(storage.Tx, *policy.Decision) (policy.Done, error) {
			return policy.Done{Details: &audit.Details{Size: made.Size}}, nil
		},
	})
	if written {
		s.sent.add(hex.EncodeToString(hash.Sum(nil)), made)
	}
	if err != nil && written && !policy.IsDenial(err) {
		s.Log.Error("a backup was sent and could not be recorded", "request", audit.RequestOf(ctx), "error", err)
		return nil
	}
	return err
}

// confirmBackup records that a backup arrived. If the confirmation is lost, the last backup on
// record is an older one.
func (s *Service) confirmBackup(ctx context.Context, p policy.Principal, in api.BackupReceived) (api.Confirmed, error) {
	made, ok := s.sent.find(in.SHA256)
	if !ok {
		return api.Confirmed{}, fmt.Errorf("no backup with this hash was sent since the start: %w", storage.ErrNotFound)
	}
	return api.Confirmed{}, s.do(ctx, p, act{
		action: audit.AuthorityBackup, subject: string(s.TrustDomain), reasons: []string{"it has arrived"}, details: audit.Details{Size: made.Size},
		change: func(tx storage.Tx, _ time.Time, _ *audit.Details) error { return authority.NoteBackup(tx, made) },
	})
}

// sentBackups are the last ones that were sent, by the SHA-256 of all that was sent.
type sentBackups struct {
	mu   sync.Mutex
	list []sentBackup
}

type sentBackup struct {
	sha256 string
	made   authority.BackupRecord
}

// maxSent is how many backups may wait to be confirmed.
const maxSent = 16

func (s *sentBackups) add(sum string, made authority.BackupRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list = append(s.list, sentBackup{sum, made}); len(s.list) > maxSent {
		s.list = s.list[1:]
	}
}

func (s *sentBackups) find(sum string) (made authority.BackupRecord, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.list {
		if b.sha256 == sum {
			return b.made, true
		}
	}
	return made, false
}
