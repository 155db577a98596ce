package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// Inside returns a client that calls a handler in this process, without a socket. The server
// decides and records each request as if p had sent it to the socket.
func Inside(h http.Handler, p policy.Principal) *api.Client {
	return api.NewClient(inside{h, p}, "this process")
}

// inside is the transport of a client in the same process.
type inside struct {
	handler http.Handler
	by      policy.Principal
}

var errPanicked = errors.New("the server failed while it answered")

// RoundTrip has the handler answer, and returns when the answer begins.
func (i inside) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), principalKey{}, i.by))
	in := r.Clone(ctx)
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "@" // as at the socket
	if in.Body == nil {
		in.Body = http.NoBody
	}
	body, pipe := io.Pipe()
	a := &answer{header: http.Header{}, pipe: pipe, begun: make(chan *http.Response, 1), body: &answerBody{body, cancel}}
	context.AfterFunc(ctx, func() { pipe.CloseWithError(context.Cause(ctx)) })
	go func() {
		defer in.Body.Close()
		pipe.CloseWithError(a.serve(i.handler, in))
	}()
	select {
	case resp := <-a.begun:
		resp.Request = r
		return resp, nil
	case <-ctx.Done():
		cancel()
		return nil, ctx.Err()
	}
}

// An answer goes from a handler to a client in the same process.
type answer struct {
	header http.Header
	pipe   *io.PipeWriter
	late   *time.Timer // ends the answer if the client is too slow; nil without a deadline
	once   sync.Once
	begun  chan *http.Response
	body   io.ReadCloser
}

// serve returns how the body ends: a handler that panics has not finished it.
func (a *answer) serve(h http.Handler, r *http.Request) (end error) {
	defer func() {
		if recover() != nil {
			end = errPanicked
			a.header = http.Header{}
			a.WriteHeader(http.StatusInternalServerError) // unless the answer has begun
		}
	}()
	h.ServeHTTP(a, r)
	a.WriteHeader(http.StatusOK)
	return nil
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	a.once.Do(func() {
		a.begun <- &http.Response{
			Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: maps.Clone(a.header), Body: a.body, ContentLength: -1,
		}
	})
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.pipe.Write(p)
}

// Flush begins the answer. Write needs no flush: it hands its bytes to the reader at once.
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }

// SetWriteDeadline has writes fail that have not ended by then, see
// [http.ResponseController]. The handler calls it, as it calls Write, from one goroutine.
func (a *answer) SetWriteDeadline(by time.Time) error {
	if a.late != nil {
		a.late.Stop()
		a.late = nil
	}
	if !by.IsZero() {
		a.late = time.AfterFunc(time.Until(by), func() { a.pipe.CloseWithError(os.ErrDeadlineExceeded) })
	}
	return nil
}

// An answerBody ends the request when it is closed.
type answerBody struct {
	io.ReadCloser
	end context.CancelFunc
}

func (b *answerBody) Close() error {
	b.end()
	return b.ReadCloser.Close()
}
