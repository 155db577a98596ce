package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// manager listens where a service manager would and returns what comes.
func manager(t *testing.T, address string) <-chan string {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", address)
	told := make(chan string, 8)
	go func() {
		buf := make([]byte, 1024)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			told <- string(buf[:n])
		}
	}()
	return told
}

func expect(t *testing.T, told <-chan string, want string) {
	t.Helper()
	select {
	case got := <-told:
		if got != want {
			t.Errorf("the service manager was told %q, want %q", got, want)
		}
	case <-time.After(5 * time.Second):
		t.Errorf("the service manager was not told %q", want)
	}
}

func TestServiceManagerIsTold(t *testing.T) {
	dir, err := os.MkdirTemp("", "bv") // unix sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, address := range []string{filepath.Join(dir, "notify"), "@brevet-test-" + filepath.Base(dir)} {
		told := manager(t, address)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ready, ended := make(chan struct{}), make(chan struct{})
		defer close(ended)
		go announce(ctx, ready, ended, slog.New(slog.NewTextHandler(io.Discard, nil)))
		close(ready)
		expect(t, told, "READY=1")
		cancel()
		expect(t, told, "STOPPING=1")
	}
}

func TestNotifyWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := notify("READY=1"); err != nil {
		t.Errorf("without a manager: got %v", err)
	}
	for _, address := range []string{"vsock:2:1", "relative", filepath.Join(t.TempDir(), "nobody")} {
		t.Setenv("NOTIFY_SOCKET", address)
		if err := notify("READY=1"); err == nil {
			t.Errorf("to %s: got no error", address)
		}
	}
}
