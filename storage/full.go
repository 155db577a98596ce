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

// An Urgency says how much of the room that an engine keeps in reserve an Update may use
// when the disk is full.
type Urgency int

const (
	NotUrgent    Urgency = iota // nothing
	HalfUrgent                  // half of it
	WhollyUrgent                // all of it
)

// Urgent returns a context whose Updates may use the room that an engine keeps
// in reserve when its disk is full. Use it only for what must go on even then, and
// never for writes that agents or strangers can repeat at will. It is for revocations by
// operators, CRLs, the server's own certificate, and dropping expired records, which makes
// room.
func Urgent(ctx context.Context) context.Context {
	return context.WithValue(ctx, urgentKey{}, WhollyUrgent)
}

// UrgentOfAgent is Urgent for what an agent may do even on a full disk: end what it has. It
// can repeat that, so half of the room is left to operators.
func UrgentOfAgent(ctx context.Context) context.Context {
	return context.WithValue(ctx, urgentKey{}, HalfUrgent)
}

// UrgencyOf returns the urgency of Updates with ctx.
func UrgencyOf(ctx context.Context) Urgency {
	u, _ := ctx.Value(urgentKey{}).(Urgency)
	return u
}
