package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

func (s *Service) logOperations() []Operation {
	return []Operation{
		operation(s, policy.Read, api.MissingEvents, s.missing),
		operation(s, policy.Read, api.ListSegments, s.segments),
		operation(s, policy.Read, api.VerifyLog, s.verifyLog),
		operation(s, policy.Read, api.Prove, s.prove),
	}
}

// verifyLog checks the whole log: against itself, the checkpoint in the store,
// and the one that the operator saved.
func (s *Service) verifyLog(ctx context.Context, _ policy.Principal, in api.VerifyRequest) (out api.Verified, err error) {
	s.flush(ctx)
	var checkpoints []audit.Checkpoint
	err = s.DB.View(ctx, func(tx storage.Tx) (err error) {
		checkpoints, err = s.checkpoints(tx, in.Checkpoint)
		return err
	})
	if err != nil {
		return out, err
	}
	var signed []byte
	report, err := s.Authority.AuditLog().Verify(ctx, func(tx storage.Tx) (err error) {
		signed, err = s.Authority.Checkpoint(tx)
		return err
	}, checkpoints...)
	if err != nil {
		return out, err
	}
	return api.Verified{Entries: report.Size, Root: report.Root.String(), Missing: authority.Gaps(report.Missing), Checkpoint: string(signed)}, nil
}

func (s *Service) checkpoints(tx storage.Tx, saved string) ([]audit.Checkpoint, error) {
	verifiers, err := s.Authority.Verifiers(tx)
	if err != nil {
		return nil, err
	}
	var list []audit.Checkpoint
	kept, err := audit.Saved(tx)
	if err == nil {
		c, err := audit.OpenCheckpoint(kept, verifiers...)
		if err != nil {
			return nil, fmt.Errorf("the checkpoint in the store: %w", err)
		}
		list = append(list, c)
	} else if !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	if saved != "" {
		c, err := audit.OpenCheckpoint([]byte(saved), verifiers...)
		if err != nil {
			return nil, fmt.Errorf("%w checkpoint: %v", agents.ErrInvalid, err)
		}
		list = append(list, c)
	}
	return list, nil
}

// prove returns a document that proves that an entry is in the log, to anybody who
// has the log's public key.
func (s *Service) prove(ctx context.Context, _ policy.Principal, in api.ProofRequest) (json.RawMessage, error) {
	doc, err := s.Authority.AuditLog().Prove(ctx, in.Entry, s.Authority.Checkpoint)
	if err != nil {
		return nil, err
	}
	return json.Marshal(doc)
}
