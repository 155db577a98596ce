package authority

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// segmentsName is the name of the directory of segments, in that of an authority and beside
// backups.
const segmentsName = "segments"

// Segments returns the directory of the audit log's segments, in that of an authority.
func Segments(dir string) audit.Dir { return audit.Dir(filepath.Join(dir, segmentsName)) }

// beside returns the directory of the segments that belong to a backup or another store.
func beside(file string) audit.Dir { return Segments(filepath.Dir(file)) }

// AuditLog is the audit log, with its segments.
func (a *Authority) AuditLog() audit.Log { return audit.Log{DB: a.DB, Segments: a.Segments} }

// Gaps tells which entries are missing because their segments are.
func Gaps(missing []audit.Segment) []api.Gap {
	list := []api.Gap{}
	for _, m := range missing {
		list = append(list, api.Gap{First: m.First, Last: m.Next - 1, Segment: m.Name()})
	}
	return list
}

// cutEvery is how often the server looks whether the log is to be cut.
const cutEvery = time.Minute

// CutLog cuts the audit log as long as it is to be cut, at once and then each minute. A
// failure is a reason of the health: the log goes on in the store.
func (a *Authority) CutLog(ctx context.Context) {
	for cutter := (audit.Cutter{Log: a.AuditLog()}); ctx.Err() == nil; {
		done, err := a.cutOnce(ctx, &cutter)
		if ctx.Err() == nil {
			a.noteCut(err)
		}
		if done {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(cutEvery):
		}
	}
}

// cutOnce cuts the log once, if it is to be cut. It removes what crashes have left: the
// process that holds the store's lock is the only one that writes segments there.
func (a *Authority) cutOnce(ctx context.Context, cutter *audit.Cutter) (done bool, err error) {
	if err := a.Segments.Sweep(); err != nil {
		return false, err
	}
	var keys []audit.Verifier
	err = a.DB.View(ctx, func(tx storage.Tx) (err error) {
		keys, err = a.Verifiers(tx)
		return err
	})
	if err != nil {
		return false, err
	}
	return cutter.Cut(ctx, a.File.Audit.Segment, a.audit.Load(), keys...)
}

// noteCut keeps why the log could not be cut.
func (a *Authority) noteCut(err error) {
	if err == nil {
		a.uncut.Store(nil)
		return
	}
	if a.uncut.Swap(&err) == nil {
		a.Log.Error("the audit log could not be cut; it grows in the store, trying again in a minute", "error", err)
	}
}

// cutReasons tell why the log could not be cut.
func (a *Authority) cutReasons() []api.Reason {
	if err := a.uncut.Load(); err != nil {
		return []api.Reason{warning(auditUncut, "mend that; the server tries again each minute", "the audit log grows in the store, because it could not be cut: %v", *err)}
	}
	return nil
}

// BackedUp says which segments there are beside a backup.
type BackedUp struct {
	Segments int       `json:"segments"` // of the log
	Copied   int       `json:"segments_copied"`
	Missing  []api.Gap `json:"missing"`
}

// CopySegments copies the segments of a backup's log to the directory segments beside it. It
// compares those that are there. fetch writes the file of one; one that is not there is
// [fs.ErrNotExist].
func CopySegments(file string, fetch func(name string, w io.Writer) error) (out BackedUp, err error) {
	var list, missing []audit.Segment
	var known []audit.Verifier
	err = bolt.ViewFile(file, func(tx storage.Tx) (err error) {
		list, known, err = segmentsIn(tx)
		return err
	})
	if err != nil {
		return out, err
	}
	to := beside(file)
	for _, s := range list {
		had := to.Has(s)
		err := to.Add(s, func(w io.Writer) error { return fetch(s.Name(), w) }, known...)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, s)
		case err != nil:
			return out, err
		case !had:
			out.Copied++
		}
	}
	out.Segments, out.Missing = len(list), Gaps(missing)
	return out, nil
}

// copyBack copies segments from beside a backup to an authority's directory, unless they are
// there. It returns those that are in neither place.
func copyBack(ctx context.Context, restored storage.DB, backup, dir string) ([]api.Gap, error) {
	var list, missing []audit.Segment
	var known []audit.Verifier
	err := restored.View(ctx, func(tx storage.Tx) (err error) {
		list, known, err = segmentsIn(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		err := beside(backup).Copy(s, Segments(dir), known...)
		if _, gone := errors.AsType[*audit.SealedError](err); gone {
			missing = append(missing, s)
		} else if err != nil {
			return nil, err
		}
	}
	if missing == nil {
		return nil, nil
	}
	return Gaps(missing), nil
}

// segmentsIn returns the segments that a store has a record of, and the keys that signed
// their checkpoints.
func segmentsIn(tx storage.Tx) (list []audit.Segment, known []audit.Verifier, err error) {
	for s, err := range audit.Segments(tx) {
		if err != nil {
			return nil, nil, err
		}
		list = append(list, s)
	}
	td, err := trustDomainOf(tx)
	if err != nil {
		return nil, nil, err
	}
	known, err = verifiers(tx, agents.TrustDomain(td))
	return list, known, err
}
