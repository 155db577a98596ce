package operator

import (
	"context"
	"fmt"
	"strconv"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Principal is somebody who acts. The zero Principal may do nothing.
type Principal struct {
	Actor    string // as the audit log names it
	Operator bool   // may do what operators do
}

// ErrNotOperator says that a principal may not do what operators do.
var ErrNotOperator = fmt.Errorf("%w: not an operator", policy.ErrDenied)

// Anonymous is somebody who proved nothing.
var Anonymous = Principal{Actor: "anonymous"}

// UID is the operator whose process runs as uid.
func UID(uid uint32) Principal {
	return Principal{"uid=" + strconv.FormatUint(uint64(uid), 10), true}
}

func (p Principal) mayOperate() error {
	if !p.Operator {
		return fmt.Errorf("%w: %s", ErrNotOperator, p.Actor)
	}
	return nil
}

// policy returns p as package policy knows it.
func (p Principal) policy() policy.Principal {
	if !p.Operator {
		return policy.Bearer(p.Actor)
	}
	return policy.Principal{Kind: policy.KindUID, Actor: p.Actor, Role: audit.Operator}
}

type requestKey struct{}

// WithRequest returns a context that carries the identifier of a request, which
// its events, the log and the answer share.
func WithRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

func requestOf(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
