//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package client

import "sync"

var everyDirectory sync.Mutex

// locked runs f while no other goroutine does. Here the standard library has
// no lock between processes: only one may write to a directory.
func (d directory) locked(f func() error) error {
	everyDirectory.Lock()
	defer everyDirectory.Unlock()
	return f()
}
