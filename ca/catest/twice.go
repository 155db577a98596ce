package catest

import (
	"context"
	"errors"
	"testing"

	"github.com/brevet-ca/brevet/storage"
)

// A twice is a store that runs each closure of an Update twice, as [storage.DB]
// allows: a closure that leaves something behind in its first run breaks a test.
type twice struct{ storage.DB }

var errAgain = errors.New("run it again")

func (d twice) Update(ctx context.Context, fn func(storage.Tx) error) error {
	err := d.DB.Update(ctx, func(tx storage.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errAgain
	})
	if err != errAgain {
		return err
	}
	return d.DB.Update(ctx, fn)
}

// strict returns db for tests, which run closures twice, or for benchmarks.
func strict(t testing.TB, db storage.DB) storage.DB {
	if _, measured := t.(*testing.B); measured {
		return db
	}
	return twice{db}
}
