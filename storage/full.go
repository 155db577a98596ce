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
// in reserve when its disk is full. It is for what must go on even then, and
// for nothing of which strangers decide how often it is written: revocations,
// the lists that tell of them, the server's own certificate, and dropping what
// expired, which makes room.
func Urgent(ctx context.Context) context.Context { return context.WithValue(ctx, urgentKey{}, true) }

// IsUrgent reports whether ctx comes from [Urgent].
func IsUrgent(ctx context.Context) bool { return ctx.Value(urgentKey{}) != nil }
