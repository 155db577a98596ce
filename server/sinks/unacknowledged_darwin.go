package sinks

import (
	"math"
	"net"

	"golang.org/x/sys/unix"
)

// unacknowledged returns how many octets of a connection its kernel has still to send, or has
// sent without an acknowledgement (SO_NWRITE).
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
		if queued, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NWRITE); err == nil {
			n = queued
		}
	})
	return int64(n)
}
