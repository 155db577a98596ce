package admin

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"

	"github.com/brevet-ca/brevet/agents/policy"
)

// Operators are the users of the machine who may use the socket besides root and the one
// that this process runs as, by user id.
type Operators map[uint32]policy.Principal

// mode is the socket's: whoever may connect needs to write to it.
func (o Operators) mode() fs.FileMode {
	if len(o) == 0 {
		return 0o600
	}
	return 0o666
}

// principal returns who the processes of a user act as. A user who may not operate is
// nobody in particular.
func (o Operators) principal(uid int) policy.Principal {
	if uid == 0 || uid == os.Geteuid() {
		return policy.UID(uint32(uid))
	}
	if p, ok := o[uint32(uid)]; ok {
		return p
	}
	return policy.Anonymous
}

type principalKey struct{}

// ConnContext remembers who is at the other end of a connection, for
// http.Server.
func (o Operators) ConnContext(ctx context.Context, c net.Conn) context.Context {
	uid, err := peerUID(c)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, principalKey{}, o.principal(uid))
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
