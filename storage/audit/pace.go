package audit

import (
	"context"
	"io"
	"time"
)

// A pace has work in the background leave the machine to requests: after each piece of work it
// rests for as long as this took.
type pace struct {
	ctx   context.Context
	begun time.Time // the piece of work
}

func newPace(ctx context.Context) *pace { return &pace{ctx, time.Now()} }

// rest ends a piece of work and begins the next, or returns why that is not to be done.
func (p *pace) rest() error {
	t := time.NewTimer(time.Since(p.begun))
	defer t.Stop()
	select {
	case <-p.ctx.Done():
		return p.ctx.Err()
	case <-t.C:
	}
	p.begun = time.Now()
	return nil
}

// reader returns a reader that rests before each read.
func (p *pace) reader(r io.Reader) io.Reader { return pacedReader{p, r} }

type pacedReader struct {
	pace *pace
	r    io.Reader
}

func (p pacedReader) Read(b []byte) (int, error) {
	if err := p.pace.rest(); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}
