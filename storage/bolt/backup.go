package bolt

import (
	"context"
	"fmt"
	"io"

	"go.etcd.io/bbolt"
)

// Backup writes a database file that holds the store as of now. Writers go on, but the
// store's file grows by what they write until the copy is done, because the pages that
// the copy needs cannot be used again before.
func (db *DB) Backup(ctx context.Context, w io.Writer) error {
	return db.view(ctx, func(b *bbolt.Tx) error {
		out := &contextWriter{ctx: ctx, w: w}
		_, err := b.WriteTo(out)
		switch {
		case out.err != nil: // bbolt does not wrap it
			return fmt.Errorf("backing up: %w", out.err)
		case err != nil:
			return fmt.Errorf("backing up: %w", err)
		}
		return nil
	})
}

// A contextWriter writes until ctx is done, and keeps the first error.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
	err error
}

func (c *contextWriter) Write(p []byte) (n int, err error) {
	if c.err == nil {
		c.err = c.ctx.Err()
	}
	if c.err == nil {
		n, c.err = c.w.Write(p)
	}
	return n, c.err
}
