package client

import (
	"context"
	"sync"
	"time"
)

// A TokenSource gives out one access token to many callers, and gets the next
// when two thirds of its life are over, or when the certificate that it is
// bound to was replaced.
type TokenSource struct {
	id      *Identity
	request TokenRequest

	mu       sync.Mutex
	token    *Token    // the last one
	failures int       // since then
	retryAt  time.Time // when to try again, if there were failures
	fetching *fetch    // in flight, or nil
}

// A fetch is one request that any number of callers wait for.
type fetch struct {
	done  chan struct{} // closed when the rest is set
	token *Token
	err   error
}

// TokenSource returns a source of tokens as r asks for.
func (id *Identity) TokenSource(r TokenRequest) *TokenSource {
	return &TokenSource{id: id, request: r}
}

// Token returns a token that can be used now. Callers that come while one is being
// fetched share it. While the authority cannot be reached, Token returns the present
// token until it expires.
func (s *TokenSource) Token(ctx context.Context) (*Token, error) {
	now := time.Now()
	s.mu.Lock()
	if s.usable(now) && now.Before(s.nextTry()) {
		defer s.mu.Unlock()
		return s.token, nil
	}
	f := s.fetching
	if f == nil {
		f = &fetch{done: make(chan struct{})}
		s.fetching = f
		go s.fetch(context.WithoutCancel(ctx), f) // a caller that gives up does not cancel it for the others
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *TokenSource) fetch(ctx context.Context, f *fetch) {
	t, err := s.id.Token(ctx, s.request)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.token, s.failures = t, 0
	} else {
		s.retryAt = now.Add(retryDelay(err, s.failures))
		s.failures++
		if s.usable(now) {
			t, err = s.token, nil
		}
	}
	f.token, f.err = t, err
	s.fetching = nil
	close(f.done)
}

// usable reports whether the last token is alive and fits the certificate and the trusted
// roots: whoever had the key of a former root may have made up the token and its lifetime.
func (s *TokenSource) usable(now time.Time) bool {
	t := s.token
	return t != nil && now.Before(t.Expires) && t.trust == s.id.trust.Load() && (t.bound == Fingerprint{} || t.bound == fingerprint(s.id.Certificate()))
}

// dueAt returns when two thirds of the token's life are over.
func (t *Token) dueAt() time.Time { return t.Expires.Add(-t.Expires.Sub(t.asked) / 3) }

// Run gets a new token whenever one is due, and calls use with it. If it cannot get
// one, it calls use with the reason and tries again. When ctx is done, it returns the
// context's error.
func (s *TokenSource) Run(ctx context.Context, use func(*Token, error)) error {
	for last := (*Token)(nil); ; {
		p := s.id.pair()
		t, err := s.Token(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || t != last {
			use(t, err)
		}
		if err == nil {
			last = t
		}
		s.mu.Lock()
		next := s.nextTry()
		s.mu.Unlock()
		if !wait(ctx, next, p.replaced) {
			return context.Cause(ctx)
		}
	}
}

// nextTry returns when to ask for the next token. The caller holds mu.
func (s *TokenSource) nextTry() time.Time {
	if s.failures > 0 {
		return s.retryAt
	}
	return s.token.dueAt()
}
