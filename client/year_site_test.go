package client

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// A site is a machine with an authority on it, reached by pipes, so that all of it can live
// in a synctest bubble. The key of its root is in a safe.
type site struct {
	t         *testing.T
	dir, safe string
	made      *server.NewAuthority
	log       lockedBuffer
	skew      atomic.Int64 // by which the machine's clock is ahead
	listening atomic.Pointer[pipe]
	operator  *api.Client // nil while no server runs
	stopping  context.CancelFunc
	stopped   chan error
}

// newSite makes an authority in a disk, whose brevet.yaml has more lines.
func newSite(t *testing.T, disk string, c server.InitConfig, more string) *site {
	s := &site{t: t, dir: filepath.Join(disk, "ca"), safe: filepath.Join(t.TempDir(), "safe")}
	c.Dir, c.RootDir, c.NoPassphrase, c.TrustDomain, c.Advertise = s.dir, s.safe, true, "corp.example", "https://127.0.0.1:8443"
	made, err := server.Init(t.Context(), c, s.now())
	check(t, err)
	s.made = made
	file := filepath.Join(s.dir, "brevet.yaml")
	text, err := os.ReadFile(file)
	check(t, err)
	check(t, os.WriteFile(file, append(text, more...), 0o600))
	return s
}

// now is what the clock of the machine shows.
func (s *site) now() time.Time { return time.Now().Add(time.Duration(s.skew.Load())) }

func (s *site) start(changes ...func(*server.Config)) {
	s.t.Helper()
	p := newPipe()
	c := server.Config{
		Dir: s.dir, Now: s.now, Listeners: &server.Listeners{HTTPS: p, NoSocket: true},
		Log: slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for _, change := range changes {
		change(&c)
	}
	running, err := server.New(c)
	check(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	s.stopping, s.stopped = cancel, make(chan error, 1)
	go func() { s.stopped <- running.Run(ctx) }()
	select {
	case <-running.Ready():
	case err := <-s.stopped:
		s.t.Fatal(err)
	}
	s.operator, err = running.Admin(server.Operator{})
	check(s.t, err)
	s.listening.Store(&p)
}

func (s *site) stop() {
	s.t.Helper()
	s.listening.Store(nil)
	s.operator = nil
	s.stopping()
	check(s.t, <-s.stopped)
}

// from returns how a machine at an address reaches the site.
func (s *site) from(ip byte) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		p := s.listening.Load()
		if p == nil {
			return nil, errors.New("connection refused")
		}
		near, far := net.Pipe()
		select {
		case p.conns <- piped{far, &net.TCPAddr{IP: net.IPv4(10, 0, 0, ip), Port: 1000}}:
			return near, nil
		case <-p.closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// A piped connection comes from an address.
type piped struct {
	net.Conn
	from net.Addr
}

func (p piped) RemoteAddr() net.Addr { return p.from }

// A lockedBuffer is the log of a machine.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
