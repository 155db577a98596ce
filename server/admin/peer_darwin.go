package admin

import "golang.org/x/sys/unix"

// credentials returns the user id by LOCAL_PEERCRED, see unix(4).
func credentials(fd int) (int, error) {
	c, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(c.Uid), nil
}
