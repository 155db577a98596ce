package sinks

import (
	"math"
	"net"
)

// unacknowledged returns how many octets of a connection its kernel has still to send, or has
// sent without an acknowledgement.
func unacknowledged(c net.Conn) int64 {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return math.MaxInt32
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return math.MaxInt32
	}
	n := math.MaxInt32
	raw.Control(func(fd uintptr) {
		if unsent, err := queued(int(fd)); err == nil {
			n = unsent
		}
	})
	return int64(n)
}
