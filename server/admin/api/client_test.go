package api

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClosedAtOnce: whom the server gives no answer is told why that may be.
func TestClosedAtOnce(t *testing.T) {
	dir, err := os.MkdirTemp("", "bv") // a short path, for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	for range 20 {
		if _, err := Dial(dir).Status(t.Context()); err == nil || !strings.Contains(err.Error(), "closed the connection: it answers root, its own user and the operators") {
			t.Errorf("got %v", err)
		}
	}
}
