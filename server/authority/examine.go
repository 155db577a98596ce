package authority

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/format"
	"github.com/brevet-ca/brevet/storage/keys"
)

// One table holds what is on record of the time, under two keys. Versions that know
// only the first read and write that.
const (
	times     = storage.Table[time.Time]("clock")
	latestKey = "latest"
	doubts    = storage.Table[doubt]("clock")
	doubtKey  = "doubt"
)

// A doubt is a [clock.Record] without its latest time.
type doubt struct {
	Least time.Time    `json:"least"`
	Jumps []clock.Jump `json:"jumps,omitempty"`
}

// noteTime records the time.
func noteTime(tx storage.Tx, r clock.Record) error {
	return errors.Join(times.Put(tx, latestKey, r.Latest), doubts.Put(tx, doubtKey, doubt{r.Least, r.Jumps}))
}

// Examine looks at the store before anything relies on it. It checks that the store
// is an authority's. By a few hashes it also checks that the audit log is the one
// that its last checkpoint was signed for. It returns what is on record of the time.
func Examine(ctx context.Context, db storage.DB, dir string, td agents.TrustDomain) (on clock.Record, err error) {
	path := filepath.Join(dir, config.Store)
	err = db.View(ctx, func(tx storage.Tx) error {
		if err := format.Check(tx); err != nil {
			return fmt.Errorf("opening %s: %w", path, err)
		}
		if _, err := keys.Active(tx, keys.Issuer); errors.Is(err, storage.ErrNotFound) {
			return fmt.Errorf("%s is not the store of an authority, or not all of it: restore a backup with brevet restore FILE", path)
		} else if err != nil {
			return err
		}
		if err := checkTrustDomain(tx, td); err != nil {
			return fmt.Errorf("%s in %s does not fit %s: %w", config.Name, dir, config.Store, err)
		}
		if err := checkLog(tx, td); err != nil {
			return fmt.Errorf("the audit log in %s is not what was recorded: %w; keep the file as evidence and restore a backup with brevet restore FILE", path, err)
		}
		on, err = timeOnRecord(tx)
		return err
	})
	return on, err
}

// checkTrustDomain compares the trust domain of brevet.yaml with that of the store. The keys
// of the log have the trust domain in their names, so that a wrong one would look like a
// wrong log.
func checkTrustDomain(tx storage.Tx, td agents.TrustDomain) error {
	is, err := trustDomainOf(tx)
	if err != nil {
		return nil // checkLog judges the log
	}
	if is != string(td) {
		return fmt.Errorf("the store is of trust domain %s and brevet.yaml says %s; a trust domain cannot be changed: write trust_domain: %[1]s", is, td)
	}
	return nil
}

// trustDomainOf returns the trust domain of a store: the subject of the first event, or what
// the name of the log has, if the event has left the store.
func trustDomainOf(tx storage.Tx) (string, error) {
	size, log, err := audit.Sealed(tx)
	if err != nil {
		return "", err
	}
	if size > 0 {
		return strings.TrimSuffix(log, logName), nil
	}
	first, err := audit.Get(tx, 0)
	if err != nil {
		return "", err
	}
	if first.Action != audit.AuthorityInit {
		return "", errors.New("its audit log does not begin with that of an authority")
	}
	return first.Subject, nil
}

// checkLog compares the audit log with the checkpoint saved in the store.
func checkLog(tx storage.Tx, td agents.TrustDomain) error {
	list, err := verifiers(tx, td)
	if err != nil {
		return err
	}
	return audit.CheckSaved(tx, list...)
}

// timeOnRecord returns what is on record of the time. The latest time is that of the
// newest event, or one noted since.
func timeOnRecord(tx storage.Tx) (clock.Record, error) {
	latest, err := times.Get(tx, latestKey)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return clock.Record{}, err
	}
	d, err := doubts.Get(tx, doubtKey)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return clock.Record{}, err
	}
	on := clock.Record{Latest: latest, Least: d.Least, Jumps: d.Jumps}
	size, err := audit.Size(tx)
	if err != nil || size == 0 {
		return on, err
	}
	newest, err := audit.Get(tx, size-1)
	if err == nil && newest.Time.After(on.Latest) {
		on.Latest = newest.Time
	}
	return on, err
}
