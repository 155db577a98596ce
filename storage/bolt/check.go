package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/brevet-ca/brevet/storage"
)

// ErrDamaged says that a file is not a database, or is damaged.
var ErrDamaged = errors.New("damaged or not a brevet database")

func damaged(path string) error { return fmt.Errorf("%s is %w", path, ErrDamaged) }

// maxProblems bounds how many problems of a file are named.
const maxProblems = 5

// problems are what is wrong with a file, up to maxProblems.
type problems []string

func (p *problems) add(format string, args ...any) {
	if len(*p) < maxProblems {
		*p = append(*p, fmt.Sprintf(format, args...))
	}
}

func (p problems) err(path string) error {
	if len(p) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", damaged(path), strings.Join(p, "; "))
}

// Verify reads the database file at path, which no process may have open. If the file
// is damaged, the error names the first problems.
func Verify(path string) error {
	if err := inspect(path, 0); err != nil {
		return err
	}
	// bbolt's own check comes second, because it panics on what inspect finds.
	b, _, err := open(path, false, bbolt.Options{ReadOnly: true, PreLoadFreelist: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	defer b.Close()
	return b.View(func(tx *bbolt.Tx) error {
		var found problems
		for err := range tx.Check(bbolt.WithKVStringer(hidden{})) {
			found.add("%v", err)
		}
		return found.err(path)
	})
}

// hidden keeps keys and values out of bbolt's reports.
type hidden struct{}

func (hidden) KeyToString([]byte) string   { return "[hidden]" }
func (hidden) ValueToString([]byte) string { return "[hidden]" }

// Check reads all pages that the open store uses now. If it is damaged, the error names
// the first problems. Writers go on meanwhile.
func (db *DB) Check(ctx context.Context) error {
	return db.view(ctx, func(b *bbolt.Tx) error { return advise(walk(ctx, b, db.file)) })
}

// inspect checks the pages of the file at path before bbolt relies on them. When bbolt
// opens a file for reading only, it checks just the first two pages, which have
// checksums.
func inspect(path string, lockTimeout time.Duration) error {
	info, err := os.Stat(path)
	if err != nil {
		return opening(path, err)
	}
	// bbolt takes an empty file for a new one. More likely, an existing store lost its
	// content, and going on without it would forget revocations.
	if info.Size() == 0 {
		return fmt.Errorf("%w: the file is empty (remove it if nothing was ever kept in it)", damaged(path))
	}
	b, file, err := open(path, false, bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		return err
	}
	defer b.Close()
	return b.View(func(tx *bbolt.Tx) error { return walk(context.Background(), tx, file) })
}

// walk checks all pages that tx can reach, as file holds them.
func walk(ctx context.Context, tx *bbolt.Tx, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("checking the database: %w", err)
	}
	var found problems
	if used := tx.Size(); info.Size() < used {
		found.add("the file ends at byte %d of %d", info.Size(), used)
		return found.err(file.Name())
	}
	pageSize := tx.DB().Info().PageSize
	w := walker{
		ctx:      ctx,
		file:     file,
		pageSize: uint64(pageSize),
		end:      uint64(tx.Size()) / uint64(pageSize),
		seen:     make([]bool, tx.Size()/int64(pageSize)),
		problems: &found,
	}
	w.tree(uint64(tx.Cursor().Bucket().Root()), 0, nil, nil)
	if err := ctx.Err(); err != nil {
		return err
	}
	return found.err(file.Name())
}

// ViewFile runs fn on the store in the file at path, which no process may have open for
// writing. It changes nothing in the file, not even what Open would.
func ViewFile(path string, fn func(storage.Tx) error) error {
	if err := inspect(path, 0); err != nil {
		return err
	}
	b, _, err := open(path, false, bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer b.Close()
	return b.View(func(b *bbolt.Tx) error {
		t := &tx{b: b, tables: &tables{}}
		defer t.end()
		return fn(t)
	})
}
