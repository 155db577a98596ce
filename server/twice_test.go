package server

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// A twice is a store that runs every function twice, and only the second run counts. Its next
// Update comes so late that the decision on it has lapsed.
type twice struct {
	storage.DB
	late sync.Once
}

func (d *twice) View(ctx context.Context, fn func(storage.Tx) error) error {
	d.DB.View(ctx, fn)
	return d.DB.View(ctx, fn)
}

func (d *twice) Update(ctx context.Context, fn func(storage.Tx) error) error {
	d.late.Do(func() { time.Sleep(time.Minute) })
	d.DB.Update(ctx, func(tx storage.Tx) error { return errors.Join(fn(tx), errors.New("this run does not count")) })
	return d.DB.Update(ctx, fn)
}

// A willing engine allows everything. Its answers lapse after some seconds.
type willing struct{}

func (willing) Decide(_ context.Context, _ *policy.Query, _ *agents.Facts) (policy.Decision, error) {
	return policy.Decision{Effect: audit.Allow}, nil
}

// unrecorded returns the key files whose key is not on record.
func (a *world) unrecorded() (names []string) {
	a.t.Helper()
	files, err := filepath.Glob(filepath.Join(a.Dir, "*.key"))
	if err != nil {
		a.t.Fatal(err)
	}
	for _, k := range decoded[[]api.Key](a.t, a.operate("GET", "/keys", nil)) {
		files = slices.DeleteFunc(files, func(f string) bool { return filepath.Base(f) == k.Purpose+"-"+k.ID[:16]+".key" })
	}
	return files
}

// TestKeysOfAnEarlierRunGo: an operation starts again if its decision has lapsed before the
// commit, and the store may run a function twice. The keys of the first run leave no files.
func TestKeysOfAnEarlierRunGo(t *testing.T) {
	for path, away := range map[string]bool{
		"tokens/rotate":                                 false,
		"tokens-pq/rotate?algorithm=mldsa44":            false,
		"issuer/rotate":                                 false,
		"issuer/rotate?now=true":                        false,
		"issuer/rotate?algorithm=mldsa65":               false,
		"issuer/rotate?compromised=true":                false,
		"root/rotate":                                   false,
		"root/rotate?algorithm=mldsa44":                 false,
		"root/rotate?compromised=true":                  false,
		"issuer/request":                                true,
		"issuer/request?algorithm=ecdsa-p256%2Bmldsa65": true,
	} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority(t)
				if away {
					a.lockAway()
				}
				a.db, a.External = &twice{DB: a.db}, []policy.Engine{willing{}}
				if err := a.assemble(keyfile.NewStore(a.Dir, keyfile.NoPassphrase)); err != nil {
					t.Fatal(err)
				}
				a.db.(*twice).late = sync.Once{}
				a.operators = fromHere(t, a.observed(a.operatorHandler()))
				a.operate("POST", "/keys/"+path, nil)
				if left := a.unrecorded(); len(left) > 0 {
					t.Errorf("left are %v", left)
				}
			})
		})
	}
}
