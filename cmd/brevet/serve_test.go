package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
		t.Setenv("WATCHDOG_USEC", "20000")
		ready, ended, hang := make(chan struct{}), make(chan struct{}), make(chan struct{})
		defer close(ended)
		checks := 0
		alive := func(context.Context) error {
			if checks++; checks > 3 {
				<-hang
			}
			return errors.New("an answer, though a bad one")
		}
		go announce(ctx, ready, ended, alive, slog.New(slog.NewTextHandler(io.Discard, nil)))
		close(ready)
		expect(t, told, "READY=1")
		for range 3 {
			expect(t, told, "WATCHDOG=1")
		}
		select {
		case got := <-told:
			t.Errorf("while the server hung, the service manager was told %q", got)
		case <-time.After(100 * time.Millisecond):
		}
		cancel()
		close(hang)
		got := <-told
		for got == "WATCHDOG=1" {
			got = <-told
		}
		if got != "STOPPING=1" {
			t.Errorf("the service manager was told %q", got)
		}
	}
}

func TestServiceManagerIsToldOfReloads(t *testing.T) {
	told := manager(t, "@brevet-test-reload")
	ended := reloading(slog.New(slog.DiscardHandler))
	got := <-told
	usec, ok := strings.CutPrefix(got, "RELOADING=1\nMONOTONIC_USEC=")
	if n, err := strconv.ParseInt(usec, 10, 64); !ok || err != nil || n <= 0 {
		t.Errorf("the service manager was told %q", got)
	}
	ended()
	expect(t, told, "READY=1")
}

func TestWatchdogInterval(t *testing.T) {
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0}, {"30000000", "", 30 * time.Second}, {"30000000", "7", 30 * time.Second},
		{"30000000", "8", 0}, {"x", "", 0}, {"-1", "7", 0}, {"4611686018427387903", "7", time.Hour},
	} {
		env := map[string]string{"WATCHDOG_USEC": c.usec, "WATCHDOG_PID": c.pid}
		if got := watchdog(func(name string) string { return env[name] }, 7); got != c.want {
			t.Errorf("%s for process %q: got %s, want %s", c.usec, c.pid, got, c.want)
		}
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
