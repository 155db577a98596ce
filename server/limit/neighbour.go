package limit

import "net"

// Also returns other with the room of l: what is open at both addresses counts together.
// Both are for the same [http.Server] and are closed together.
func (l *Listener) Also(other net.Listener) net.Listener { return neighbour{other, l} }

// A neighbour is a listener that has the room of another one.
type neighbour struct {
	net.Listener
	room *Listener
}

func (n neighbour) Accept() (net.Conn, error) { return n.room.accept(n.Listener) }

func (n neighbour) Close() error {
	n.room.end()
	return n.Listener.Close()
}
