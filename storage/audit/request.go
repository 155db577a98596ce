package audit

import "context"

type (
	requestKey struct{}
	peerKey    struct{}
	traceKey   struct{}
)

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

// WithPeer returns a context that carries the network address from which a
// request came.
func WithPeer(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, peerKey{}, address)
}

// PeerOf returns the address that ctx carries, or "".
func PeerOf(ctx context.Context) string {
	address, _ := ctx.Value(peerKey{}).(string)
	return address
}

// WithTrace returns a context that carries the trace-id of a request (W3C Trace Context).
func WithTrace(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, traceKey{}, id)
}

// TraceOf returns the trace-id that ctx carries, or "".
func TraceOf(ctx context.Context) string {
	id, _ := ctx.Value(traceKey{}).(string)
	return id
}
