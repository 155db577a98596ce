package limit

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// baseMemory is what the process may allocate beside its connections. It takes about a third
	// of that when it idles.
	baseMemory = 36 << 20
	// perConnection is what a connection may take that does something.
	perConnection = 32 << 10
)

// Memory has the garbage collector keep the memory of the process within what it needs with
// the connections that are open now, so that what a burst of requests took is given back. The
// limit leaves twice the memory that is in use, so that collecting never takes the
// processor from requests. An operator who sets GOMEMLIMIT decides instead.
func Memory(listeners []*Listener) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	connections := 0
	for _, l := range listeners {
		connections += l.Open()
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetMemoryLimit(max(baseMemory+int64(connections)*perConnection, 2*int64(live[0].Value.Uint64())))
}
