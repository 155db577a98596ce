package audit

import "context"

// A Source says where a request came from, as its events record it.
type Source struct {
	Request string // its identifier, which its events, the log and the answer share
	Peer    string // the network address of the client; none over a unix socket
	Trace   string // the trace-id of the client (W3C Trace Context), if it gave one
}

type sourceKey struct{}

// WithSource returns a context that carries where a request came from.
func WithSource(ctx context.Context, s Source) context.Context {
	return context.WithValue(ctx, sourceKey{}, &s)
}

// SourceOf returns what WithSource put into ctx, or nothing.
func SourceOf(ctx context.Context) Source {
	if s, ok := ctx.Value(sourceKey{}).(*Source); ok {
		return *s
	}
	return Source{}
}

// RequestOf returns the identifier of the request that ctx is of, or "".
func RequestOf(ctx context.Context) string { return SourceOf(ctx).Request }
