package admin

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// A reader of a backup takes a mebibyte in half a minute, or its connection ends. The store keeps
// all pages that the backup has for as long as it is being read, so a reader that stalls would
// have the file grow.
const (
	briskly   = 30 * time.Second
	briskPart = 1 << 20
)

// brisk writes to a client that must not stall.
type brisk struct {
	w       io.Writer
	control *http.ResponseController
	within  time.Duration
	left    int // octets until the client gets more time
}

func (b *brisk) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if b.left == 0 {
			// A client in the same process has no connection.
			if err := b.control.SetWriteDeadline(time.Now().Add(b.within)); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return n, err
			}
			b.left = briskPart
		}
		part, err := b.w.Write(p[:min(len(p), b.left)])
		n, p, b.left = n+part, p[part:], b.left-part
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
