//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package client

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// locked runs f. No other process or goroutine runs its own f over the same directory
// meanwhile. The lock is on the directory itself and ends with the process.
func (d directory) locked(f func() error) error {
	handle, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer handle.Close()
	for {
		err = syscall.Flock(int(handle.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("locking %s: %w", d, err)
	}
	return f()
}
