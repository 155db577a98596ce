package sinks

import "golang.org/x/sys/unix"

// queued asks for SIOCOUTQ (tcp(7)).
func queued(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.SIOCOUTQ) }
