package authority

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/durable"
)

// The directories of key files that are sealed again, in that of the authority: before and
// after the new passphrase counts.
const (
	sealing = "sealing"
	sealed  = "sealed"
)

// step is called before each step of a change of the passphrase. Tests crash there.
var step = func(string) {}

// commitSeal makes the new files count.
func commitSeal(dir string) error {
	step("commit")
	return durable.Rename(filepath.Join(dir, sealing), filepath.Join(dir, sealed))
}

// FinishSeal finishes a change of the passphrase that a crash interrupted after the new
// passphrase began to count. It needs no passphrase. The server must be stopped. Call it
// before anything reads brevet.yaml or keys. The note says which passphrase counts after an
// interruption; "" means that there was none.
func FinishSeal(ctx context.Context, dir string) (note string, err error) {
	if _, err := os.Stat(filepath.Join(dir, sealing)); err == nil {
		note = "a change of the passphrase was interrupted before it took effect: the old passphrase counts"
	}
	if _, err := os.Stat(filepath.Join(dir, sealed)); err != nil {
		return note, nil // whatever the reason is, those who read dir next have it, too
	}
	note = "a change of the passphrase was interrupted and is finished now: the new passphrase counts"
	if err := checkOwner(dir); err != nil {
		return "", err
	}
	db, err := OpenStore(dir) // holds the lock
	switch {
	case errors.Is(err, errDamaged), errors.Is(err, fs.ErrNotExist): // nobody can be using it
		return note, moveSealed(dir)
	case err != nil:
		return "", err
	}
	return note, errors.Join(finishSeal(ctx, db, dir, policy.System, time.Now()), db.Close())
}

// finishSeal moves the new files to their places, and records that. After a crash it may
// run again, and record it twice.
func finishSeal(ctx context.Context, db storage.DB, dir string, by policy.Principal, now time.Time) error {
	if err := moveSealed(dir); err != nil {
		return err
	}
	step("record")
	if err := recordSeal(ctx, db, by, now); err != nil {
		return fmt.Errorf("recording the change of the passphrase: %w", err)
	}
	step("end")
	if err := os.Remove(filepath.Join(dir, sealed)); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

func moveSealed(dir string) error {
	from := filepath.Join(dir, sealed)
	all, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range all {
		step("move " + entry.Name())
		if err := os.Rename(filepath.Join(from, entry.Name()), filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return durable.SyncDir(dir)
}

func recordSeal(ctx context.Context, db storage.DB, by policy.Principal, now time.Time) error {
	point := policy.Point{DB: db}
	q := policy.Query{Principal: by, Action: audit.KeySeal, Subject: string(agents.Authority), Time: now}
	return point.Do(ctx, q, policy.Act{Change: func(storage.Tx, *policy.Decision) (policy.Done, error) {
		return policy.Done{}, nil
	}})
}
