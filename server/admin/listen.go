package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// The socket is bound in a directory of its own, mode 0700, and then moved to its place.
// The names are so short that the limit for paths of sockets holds for the last one.
const (
	nursery = ".sock"
	bound   = "s"
)

// Listen opens the socket in dir. Its mode is 0600 from the first moment at which others
// could reach it, or 0666 if there are other operators than root and the user that this
// process runs as. The caller holds the lock of the store beside it, so nobody else serves
// the socket: one that exists is left from a crash.
//
// The listener refuses the connections of all users but these, before it reads anything:
// the mode of a socket can be changed, and an open one can be handed on.
func Listen(dir string, others Operators, log *slog.Logger) (net.Listener, error) {
	path := filepath.Join(dir, api.SocketName)
	if len(path) > 100 {
		return nil, fmt.Errorf("the path of the admin socket, %s, is too long for a unix socket (100 bytes): choose a shorter --dir", path)
	}
	l, err := bind(dir, path, others.mode())
	if err != nil {
		return nil, fmt.Errorf("opening the admin socket: %w", err)
	}
	return &listener{UnixListener: l, path: path, others: others, log: log, open: map[int]int{}}, nil
}

// bind makes the socket. It first removes the leftovers of a crash.
func bind(dir, path string, mode fs.FileMode) (*net.UnixListener, error) {
	closed := filepath.Join(dir, nursery)
	inside := filepath.Join(closed, bound)
	if err := errors.Join(remove(inside), remove(closed), os.Mkdir(closed, 0o700)); err != nil {
		return nil, err
	}
	defer os.Remove(closed)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: inside, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would look for the first name
	if err := errors.Join(os.Chmod(inside, mode), os.Rename(inside, path)); err != nil {
		l.Close()
		return nil, errors.Join(err, remove(inside))
	}
	return l, nil
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// A listener accepts operators only.
type listener struct {
	*net.UnixListener
	path   string
	others Operators
	log    *slog.Logger
	warned time.Time
	once   sync.Once

	mu   sync.Mutex
	open map[int]int // connections of each of the others
}

// Accept waits for a connection of an operator.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.UnixListener.Accept()
		if err != nil {
			return nil, err
		}
		uid, err := peerUID(c)
		if err == nil && l.others.principal(uid) == policy.Anonymous {
			err = errStranger
		}
		if err == nil {
			c, err = l.hold(c, uid)
		}
		if err == nil {
			return c, nil
		}
		c.Close()
		l.warn(uid, err)
	}
}

// warn logs a refused connection. It does so once a minute, since anybody on the machine
// may be able to cause one.
func (l *listener) warn(uid int, err error) {
	if now := time.Now(); now.Sub(l.warned) > time.Minute {
		l.warned = now
		l.log.Warn("refused a connection to the admin socket", "uid", uid, "error", err)
	}
}

// Close closes the socket and removes its name, once.
func (l *listener) Close() error {
	err := l.UnixListener.Close()
	l.once.Do(func() { err = errors.Join(err, remove(l.path)) })
	return err
}

// Addr returns where the socket is now.
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }
