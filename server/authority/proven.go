package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// makesKeys are the actions whose events name new keys.
var makesKeys = []audit.Action{
	audit.KeyAnnounce, audit.KeyRotate, audit.KeyRequest, audit.KeyInstall, audit.KeyCompromise, audit.AuthorityRestore,
}

// madeKeys returns the words of an event that may be identifiers of new keys. An event of the
// server itself, or of an earlier version, names them in its reasons only.
func madeKeys(e audit.Event) (words []string) {
	if e.Decision != audit.Allow || !slices.Contains(makesKeys, e.Action) {
		return nil
	}
	if e.Details != nil {
		words = append(words, e.Details.To)
		for _, c := range e.Details.Change {
			words = append(words, c.To)
		}
	}
	for _, reason := range e.Reasons {
		words = append(words, strings.FieldsFunc(reason, func(r rune) bool { return r == ' ' || r == ',' })...)
	}
	return words
}

// provenKeys returns what names keys in those events of the replaced store that came after the
// backup and that a checkpoint covers. An audit key of the backup, or one for which it vouches,
// must have signed the checkpoint: whoever can write to the replaced store has no such key.
func (r *restore) provenKeys(ctx context.Context, backup storage.DB) (map[string]bool, error) {
	var known [][]byte
	err := backup.View(ctx, func(tx storage.Tx) error {
		all, err := keys.List(tx, keys.Audit)
		for _, k := range all {
			known = append(known, k.Public)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	log := audit.Log{DB: r.old, Segments: Segments(r.Dir)}
	size, err := r.covered(ctx, log, known)
	if err != nil {
		return nil, err
	}
	proven := map[string]bool{}
	for some, err := range log.Read(ctx, r.past.size) {
		if err != nil {
			return nil, err
		}
		for _, e := range some {
			if e.Seq >= size {
				return proven, nil
			}
			for _, word := range madeKeys(e) {
				proven[word] = true
			}
		}
	}
	return proven, nil
}

// covered checks the log of the replaced store by its last checkpoint and returns how many
// events the checkpoint covers.
func (r *restore) covered(ctx context.Context, log audit.Log, known [][]byte) (int64, error) {
	var c audit.Checkpoint
	err := r.old.View(ctx, func(tx storage.Tx) error {
		all, _, err := follow(tx, string(r.file.TrustDomain), known)
		if err != nil {
			return err
		}
		verifiers, err := verifiersOf(origin(r.file.TrustDomain), all)
		if err != nil {
			return err
		}
		saved, err := audit.Saved(tx)
		if errors.Is(err, storage.ErrNotFound) {
			return errors.New("it has no checkpoint")
		}
		if err == nil {
			c, err = audit.OpenCheckpoint(saved, verifiers...)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	if _, err := log.Verify(ctx, nil, c); err != nil {
		return 0, fmt.Errorf("its log: %w", err)
	}
	return c.Size, nil
}

// cover signs a checkpoint after new keys were recorded, so that a restore finds them proven:
// see [restore.provenKeys]. If that fails, the next checkpoint covers them.
func (a *Authority) cover(ctx context.Context) {
	if err := a.SaveCheckpoint(ctx); err != nil {
		a.Log.Warn("the audit log's checkpoint could not be saved", "error", err)
	}
}
