package server

import (
	"testing"
	"time"
)

// SetBounds gives the connections of servers that start from now on other
// bounds, until the test ends.
func SetBounds(t testing.TB, header, read, write, idle time.Duration) {
	before := bounds
	t.Cleanup(func() { bounds = before })
	setBounds(header, read, write, idle)
}

func setBounds(header, read, write, idle time.Duration) {
	bounds.header, bounds.read, bounds.write, bounds.idle = header, read, write, idle
}

// SetIdleTime is for a process that does nothing but serve.
func SetIdleTime(d time.Duration) { bounds.idle = d }
