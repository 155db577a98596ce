package limit

import (
	"container/list"
	"io"
	"net/http"
	"sync"
	"time"
)

// maxBodies is how much of unfinished request bodies is in memory at most. A request has
// 64 kB at most, and the requests of healthy clients are whole within milliseconds.
const maxBodies = 8 << 20

// Bodies bounds how much of request bodies is held in memory before they are whole.
// When there is more, the oldest body under way is given up. It tells the [Listener] which
// requests are whole.
type Bodies struct {
	mu   sync.Mutex
	held int64
	open list.List // of *body; the oldest first
}

// Handler returns next with bounded bodies.
func (b *Bodies) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := connOf(r)
		if r.Body == nil || r.Body == http.NoBody {
			from.work()
			next.ServeHTTP(w, r)
			return
		}
		u := b.begin(w, r.Body)
		u.from = from
		defer b.end(u)
		r.Body = u
		next.ServeHTTP(w, r)
	})
}

// A body is one that is being read.
type body struct {
	io.ReadCloser
	all  *Bodies
	from *conn // or nil
	w    http.ResponseWriter
	held int64         // protected by all.mu
	at   *list.Element // nil once it is whole; protected by all.mu
}

func (b *Bodies) begin(w http.ResponseWriter, r io.ReadCloser) *body {
	u := &body{ReadCloser: r, all: b, w: w}
	b.mu.Lock()
	defer b.mu.Unlock()
	u.at = b.open.PushBack(u)
	return u
}

func (b *Bodies) end(u *body) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(u)
}

func (b *Bodies) forget(u *body) {
	if u.at != nil {
		b.open.Remove(u.at)
		u.at = nil
	}
	b.held -= u.held
	u.held = 0
}

// Read counts what it reads until the body is whole.
func (u *body) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err == io.EOF {
		u.from.work()
	}
	u.all.mu.Lock()
	defer u.all.mu.Unlock()
	switch {
	case err != nil:
		u.all.forget(u)
	case u.at != nil:
		u.held += int64(n)
		u.all.held += int64(n)
		u.all.bound()
	}
	return n, err
}

// bound gives up the oldest bodies while there is too much. Their next Read fails.
func (b *Bodies) bound() {
	for b.held > maxBodies {
		oldest := b.open.Front().Value.(*body)
		b.forget(oldest)
		http.NewResponseController(oldest.w).SetReadDeadline(time.Unix(1, 0))
	}
}
