package admin_test

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// TestOthersGetNoAnswer: the connection of another user is closed before anything is
// read, whatever the modes of the socket and its directory.
func TestOthersGetNoAnswer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	dir := shortDir(t)
	var said bytes.Buffer
	l, err := admin.Listen(dir, nil, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, api.SocketName)
	for _, name := range []string{dir, path} {
		if err := os.Chmod(name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	accepted := make(chan net.Conn, 3)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	for range 2 {
		if answer := connectAs(t, path, 65534); answer != "closed" {
			t.Errorf("another user: %s", answer)
		}
	}
	own, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	select {
	case c := <-accepted:
		c.Close()
	case <-time.After(10 * time.Second):
		t.Error("the server's own user was not accepted")
	}
	l.Close()
	if c, more := <-accepted; more {
		t.Errorf("accepted another connection, %v", c)
	}
	if lines := strings.Count(said.String(), "uid=65534"); lines != 1 {
		t.Errorf("%d lines in the log, want 1 in a minute: %s", lines, &said)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after Close: %v", err)
	}
}

// connectAs connects as another user and says what became of it.
func connectAs(t *testing.T, path string, uid int) string {
	t.Helper()
	answer := make(chan string)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			answer <- errno.Error()
			return
		}
		answer <- connect(path)
	}()
	return <-answer
}

func connect(path string) string {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return err.Error()
	}
	if _, err := f.Read(make([]byte, 1)); err != io.EOF {
		return "answered"
	}
	return "closed"
}

// TestSocketIsNeverOpen looks at the socket all the time while it is made again and again
// under the laxest umask.
func TestSocketIsNeverOpen(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := shortDir(t)
	path := filepath.Join(dir, api.SocketName)
	done := make(chan struct{})
	var loose os.FileMode
	go func() {
		defer close(done)
		for range 20000 {
			if info, err := os.Lstat(path); err == nil && info.Mode().Perm() != 0o600 {
				loose = info.Mode()
			}
		}
	}()
	for range 100 {
		l, err := admin.Listen(dir, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	<-done
	if loose != 0 {
		t.Errorf("the socket had mode %v", loose)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// TestListenAfterACrash: a socket that was left, in its place or on its way there, is
// replaced, and an earlier listener that is closed late does not remove the new one.
func TestListenAfterACrash(t *testing.T) {
	dir := shortDir(t)
	for _, name := range []string{".sock/s", api.SocketName} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	first, err := admin.Listen(dir, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	second, err := admin.Listen(dir, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.Close()
	info, err := os.Lstat(filepath.Join(dir, api.SocketName))
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// shortDir returns a directory whose path leaves room for that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
