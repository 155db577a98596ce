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
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/durable"
	"github.com/brevet-ca/brevet/storage/format"
	"github.com/brevet-ca/brevet/storage/keys"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// Restore puts a backup in place of the store in dir. No server may be using that
// store. Restore keeps it, if there is one, under another name, which it returns. The authority
// forgets all that happened since the backup, revocations too; only the numbers of
// CRLs continue. An actor of "" means the user id of this process.
func Restore(ctx context.Context, dir, file, actor string, now time.Time) (kept string, err error) {
	f, err := config.Read(dir)
	if err != nil {
		return "", err
	}
	if err := errors.Join(checkOwner(dir), VerifyBackup(file)); err != nil {
		return "", err
	}
	path := filepath.Join(dir, config.Store)
	kept = path + ".before-restore"
	if _, err := os.Stat(kept); err == nil {
		return "", fmt.Errorf("%s is left from an earlier restore: remove it, or move it away", kept)
	}
	old, err := OpenStore(dir) // holds the lock, so that no server starts meanwhile
	if err != nil && !errors.Is(err, errDamaged) && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if old != nil {
		defer old.Close()
	}
	backup, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	fresh := filepath.Join(dir, restoring)
	defer os.Remove(fresh)
	if err := prepare(ctx, dir, fresh, file, policy.Query{
		Principal: operator(actor), Action: audit.AuthorityRestore, Subject: string(f.TrustDomain), Time: now,
		Details: audit.Details{File: filepath.Base(file), Size: backup.Size()},
	}); err != nil {
		return "", err
	}
	if err := os.Rename(path, kept); errors.Is(err, fs.ErrNotExist) {
		kept = ""
	} else if err != nil {
		return "", err
	}
	return kept, durable.Rename(fresh, path)
}

// prepare makes the store fresh: a copy of the backup, with the record that it was
// restored.
func prepare(ctx context.Context, dir, fresh, file string, q policy.Query) error {
	if err := durable.CopyFile(fresh, file); err != nil {
		return err
	}
	db, err := openStore(fresh)
	if err != nil {
		return err
	}
	if err := db.View(ctx, format.Check); err != nil {
		return errors.Join(fmt.Errorf("opening the backup: %w", err), db.Close())
	}
	point := policy.Point{DB: db}
	err = point.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		done := policy.Done{Reasons: []string{"what happened since the backup is forgotten"}}
		if err := checkTrustDomain(tx, agents.TrustDomain(q.Subject)); err != nil {
			return done, fmt.Errorf("the backup is not of this authority: %w", err)
		}
		if err := hasKeys(tx, keyfile.NewStore(dir, keyfile.NoPassphrase)); err != nil {
			return done, err
		}
		return done, crl.Leap(tx)
	}})
	return errors.Join(err, db.Close())
}

// hasKeys refuses a backup if key files of its keys are missing: it is another
// authority's, or an old one whose keys were removed since. A server could not start
// with it. Key files of roots may be kept elsewhere.
func hasKeys(tx storage.Tx, store keys.Source) error {
	needed := Purposes().With(func(s keys.PurposeSpec) bool { return !s.Offline })
	all, err := needed.List(tx)
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.State != keys.StateActive {
			continue
		}
		there, err := store.Has(k)
		if err != nil {
			return err
		}
		if !there {
			return fmt.Errorf("the backup is of another authority, or the file of its %s key %s is lost: put that file back first", k.Purpose, k.ID)
		}
	}
	return nil
}
