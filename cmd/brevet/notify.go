package main

import (
	"fmt"
	"net"
	"os"
)

// notify tells the service manager that started this process about its state,
// if there is one (sd_notify(3)): one datagram to the socket in NOTIFY_SOCKET.
func notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	switch {
	case path == "":
		return nil
	case path[0] != '/' && path[0] != '@': // such as vsock:, for virtual machines
		return fmt.Errorf("NOTIFY_SOCKET %q is not a unix socket", path)
	}
	// Package net knows that a leading @ means the abstract namespace, unix(7).
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}
