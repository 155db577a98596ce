package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// Listen opens the socket in dir, mode 0600. The caller holds the lock of the store
// beside it, so nobody else serves the socket: one that exists is left from a crash.
func Listen(dir string) (net.Listener, error) {
	path := filepath.Join(dir, api.SocketName)
	if len(path) > 100 {
		return nil, fmt.Errorf("the path of the admin socket, %s, is too long for a unix socket (100 bytes): choose a shorter --dir", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	// The directory is 0700, so nobody can open the socket before its mode is set.
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

type principalKey struct{}

// ConnContext remembers who is at the other end of a connection, for
// http.Server.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	uid, err := peerUID(c)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, principalKey{}, policy.UID(uint32(uid)))
}

// principal returns who sent the request. If the kernel did not say, that is nobody
// in particular, who may do nothing.
func principal(r *http.Request) policy.Principal {
	if p, ok := r.Context().Value(principalKey{}).(policy.Principal); ok {
		return p
	}
	return policy.Anonymous
}

// peerUID asks the kernel whose process opened the connection.
func peerUID(c net.Conn) (uid int, err error) {
	conn, ok := c.(syscall.Conn)
	if !ok {
		return 0, errors.New("not a socket")
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := raw.Control(func(fd uintptr) { uid, err = credentials(int(fd)) })
	return uid, errors.Join(failed, err)
}
