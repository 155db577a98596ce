package storage

import (
	"context"
	"errors"
)

// ErrFull says that the store has no room, and that nothing was done. It is
// worth trying again: room comes back when the disk is cleared, or when what
// expired is dropped.
var ErrFull = errors.New("the disk is full")

type urgentKey struct{}

// Urgent returns a context whose Updates may use the room that an engine keeps
// in reserve when its disk is full. Use it only for what must go on even then, and
// never for writes that strangers can repeat at will. It is for revocations, CRLs, the
// server's own certificate, and dropping expired records, which makes room.
func Urgent(ctx context.Context) context.Context { return context.WithValue(ctx, urgentKey{}, true) }

// IsUrgent reports whether ctx comes from [Urgent].
func IsUrgent(ctx context.Context) bool { return ctx.Value(urgentKey{}) != nil }
