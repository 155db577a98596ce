package admin

import "golang.org/x/sys/unix"

// credentials returns the user id by SO_PEERCRED, see unix(7).
func credentials(fd int) (int, error) {
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(c.Uid), nil
}
