package audit

import "context"

type requestKey struct{}

// WithRequest returns a context that carries the identifier of a request, which
// its events, the log and the answer share.
func WithRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestOf returns the identifier that ctx carries, or "".
func RequestOf(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
