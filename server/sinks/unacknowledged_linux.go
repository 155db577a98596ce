package sinks

import (
	"math"
	"net"

	"golang.org/x/sys/unix"
)

// unacknowledged returns how many octets of a connection its kernel has still to send, or has
// sent without an acknowledgement (tcp(7), SIOCOUTQ).
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
		if queued, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			n = queued
		}
	})
	return int64(n)
}
