package sinks

import "golang.org/x/sys/unix"

// queued asks for SO_NWRITE.
func queued(fd int) (int, error) { return unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NWRITE) }
