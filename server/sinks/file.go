package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/durable"
)

// A logFile is an open file. Events have arrived when the file is synced.
type logFile struct {
	Config
	encode func([]byte, *audit.Event) []byte
	f      *os.File
	next   atomic.Int64
}

func newFile(c Config, from From) func(context.Context) (conn, error) {
	return func(context.Context) (conn, error) {
		l := &logFile{Config: c, encode: c.encoder(from)}
		return l, l.reopen()
	}
}

func (l *logFile) lost() <-chan struct{}   { return nil }
func (l *logFile) arrived(time.Time) int64 { return l.next.Load() }
func (l *logFile) finish(context.Context)  {}
func (l *logFile) abandon()                { l.close() }
func (l *logFile) path(n int) string       { return fmt.Sprintf("%s.%d", l.Target, n) }
func (l *logFile) exists(name string) bool { _, err := os.Lstat(name); return err == nil }

func (l *logFile) send(_ context.Context, some []audit.Event) error {
	var b []byte
	for _, e := range some {
		b = append(l.encode(b, &e), '\n')
	}
	if err := l.follow(int64(len(b))); err != nil {
		return err
	}
	if _, err := l.f.Write(b); err != nil {
		return err
	}
	if err := l.f.Sync(); err != nil {
		return err
	}
	l.next.Store(end(some))
	return nil
}

// follow opens the file of that name if another program has renamed or removed the one that
// is open, and rotates it if more octets would make it too large.
func (l *logFile) follow(more int64) error {
	open, err := l.f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(l.Target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || !os.SameFile(open, named) {
		return l.reopen()
	}
	if l.MaxSize > 0 && open.Size() > 0 && open.Size()+more > l.MaxSize {
		return l.rotate()
	}
	return nil
}

// rotate gives the file the suffix .1, that with .1 the suffix .2, and so on. The oldest goes.
func (l *logFile) rotate() error {
	for n := l.Keep; n > 1; n-- {
		if l.exists(l.path(n - 1)) {
			if err := os.Rename(l.path(n-1), l.path(n)); err != nil {
				return err
			}
		}
	}
	if err := os.Rename(l.Target, l.path(1)); err != nil {
		return err
	}
	return l.reopen()
}

// reopen opens the file at its end, which it makes whole.
func (l *logFile) reopen() error {
	l.close()
	f, err := durable.OpenFile(l.Target, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := mend(f); err != nil {
		f.Close()
		return err
	}
	l.f = f
	return durable.SyncDir(filepath.Dir(l.Target))
}

// maxLine is longer than any line of ours: the log cuts events to 16 KiB, which CEF may double.
const maxLine = 64 << 10

// beginnings are how files of events begin, in either format.
var beginnings = []string{`{"seq":`, "CEF:0|brevet|"}

// checkOurs refuses a file that does not begin with an event: brevet.yaml may name a key, or the
// store, by mistake. A crash may have left a part of the first event.
func checkOurs(f *os.File) error {
	head := make([]byte, 16)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	for _, b := range beginnings {
		if k := min(n, len(b)); string(head[:k]) == b[:k] {
			return nil
		}
	}
	return fmt.Errorf("%s is there and is not a file of events: give the sink a file of its own", f.Name())
}

// mend removes the part of a line at the end that a crash left: its event has not arrived
// and is written again.
func mend(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := checkOurs(f); err != nil {
		return err
	}
	tail := make([]byte, min(info.Size(), maxLine))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && len(tail) > 0 {
		return err
	}
	part := len(tail) - 1 - bytes.LastIndexByte(tail, '\n')
	if part == 0 {
		return nil
	}
	if int64(part) == maxLine {
		return fmt.Errorf("%s is not a file of lines", f.Name())
	}
	return f.Truncate(info.Size() - int64(part))
}

func (l *logFile) close() {
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}
