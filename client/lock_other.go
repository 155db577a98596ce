//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package client

import "sync"

var everyDirectory sync.Mutex

// locked runs f. No other goroutine runs its own f meanwhile. On this system the
// standard library has no lock between processes: only one process may write to a
// directory.
func (d directory) locked(f func() error) error {
	everyDirectory.Lock()
	defer everyDirectory.Unlock()
	return f()
}
