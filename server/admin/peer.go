package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"

	"github.com/brevet-ca/brevet/agents/policy"
)

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
