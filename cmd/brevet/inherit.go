package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstInherited is the first file descriptor that a service manager hands over, and
// maxInherited is how many it may.
const (
	firstInherited = 3
	maxInherited   = 64
)

// inherited returns the sockets that the service manager opened for this process, by their
// names (sd_listen_fds(3)). It clears the variables that tell of them, so that no child
// takes them for its own.
func inherited() (map[string][]net.Listener, error) {
	env := map[string]string{}
	for _, name := range []string{"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID"} {
		env[name] = os.Getenv(name)
		os.Unsetenv(name)
	}
	names, err := inheritedNames(env, os.Getpid())
	if err != nil {
		return nil, err
	}
	sockets := map[string][]net.Listener{}
	for i, name := range names {
		l, err := listenerOf(firstInherited+i, name)
		if err != nil {
			return nil, fmt.Errorf("the service manager's socket %q: %w", name, err)
		}
		sockets[name] = append(sockets[name], l)
	}
	return sockets, nil
}

// inheritedNames returns the names of the sockets that this process is given, in their order.
func inheritedNames(env map[string]string, pid int) ([]string, error) {
	if env["LISTEN_FDS"] == "" || env["LISTEN_PID"] != strconv.Itoa(pid) {
		return nil, nil // meant for another process
	}
	n, err := strconv.Atoi(env["LISTEN_FDS"])
	if err != nil || n < 0 || n > maxInherited {
		return nil, fmt.Errorf("LISTEN_FDS %.20q: want a number up to %d", env["LISTEN_FDS"], maxInherited)
	}
	if n == 0 {
		return nil, nil
	}
	names := strings.Split(env["LISTEN_FDNAMES"], ":")
	if len(names) != n {
		return nil, fmt.Errorf("LISTEN_FDNAMES %.200q: want one name for each of %d sockets", env["LISTEN_FDNAMES"], n)
	}
	return names, nil
}

// listenerOf returns the TCP listener of a file descriptor, which it closes.
func listenerOf(fd int, name string) (net.Listener, error) {
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens == 0 {
		return nil, fmt.Errorf("file descriptor %d is no socket that listens", fd)
	}
	l, err := net.FileListener(f) // on a copy
	if err != nil {
		return nil, err
	}
	if _, ok := l.(*net.TCPListener); !ok {
		l.Close()
		return nil, fmt.Errorf("file descriptor %d listens at %s, and not for TCP", fd, l.Addr())
	}
	return l, nil
}
