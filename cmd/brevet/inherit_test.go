package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

func TestInheritedNames(t *testing.T) {
	for _, c := range []struct{ pid, fds, names, want string }{
		{"", "", "", "[] <nil>"},
		{"8", "2", "https:http", "[] <nil>"}, // of a parent
		{"", "2", "https:http", "[] <nil>"},
		{"7", "0", "", "[] <nil>"},
		{"7", "1", "https", "[https] <nil>"},
		{"7", "3", "https:http:https", "[https http https] <nil>"},
		{"7", "1", "", "[] <nil>"}, // one that has the name "", which the server refuses
		{"7", "2", "https", "want one name for each of 2 sockets"},
		{"7", "1", "https:http", "want one name for each of 1 sockets"},
		{"7", "2", "", "want one name for each"},
		{"7", "65", "", "want a number up to 64"},
		{"7", "-1", "", "want a number"},
		{"7", "two", "", "want a number"},
	} {
		names, err := inheritedNames(map[string]string{"LISTEN_PID": c.pid, "LISTEN_FDS": c.fds, "LISTEN_FDNAMES": c.names}, 7)
		if got := fmt.Sprint(names, " ", err); !strings.Contains(got, c.want) {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

// TestInheritedIsClearedForChildren, whoever the sockets are for.
func TestInheritedIsClearedForChildren(t *testing.T) {
	for _, pid := range []string{"1", "x", fmt.Sprint(os.Getpid())} {
		t.Setenv("LISTEN_PID", pid)
		t.Setenv("LISTEN_FDS", "0")
		t.Setenv("LISTEN_FDNAMES", "https")
		if sockets, err := inherited(); err != nil || len(sockets) > 0 {
			t.Errorf("got %v, %v", sockets, err)
		}
		for _, v := range os.Environ() {
			if strings.HasPrefix(v, "LISTEN_") {
				t.Errorf("%s is left", v)
			}
		}
	}
}

// newAuthority makes an authority to serve and returns its directory and addresses.
func newAuthority(t *testing.T) (dir, https, public string) {
	t.Helper()
	top, err := os.MkdirTemp("", "bv") // unix sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	dir, https, public = filepath.Join(top, "a"), servertest.FreeAddress(t), servertest.FreeAddress(t)
	status, _, stderr := brevet(t, "", "--dir", dir, "init", "--trust-domain", "example.internal", "--listen", https, "--listen-http", public, "--no-passphrase")
	if status != 0 {
		t.Fatal(stderr)
	}
	return dir, https, public
}

// serveWith starts a process of brevet serve that has files from 3 on.
func serveWith(t *testing.T, dir, names string, files ...*os.File) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	c := exec.Command("sh", "-c", "LISTEN_PID=$$ exec brevet --dir "+dir+" serve")
	c.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(files)), "LISTEN_FDNAMES="+names)
	c.ExtraFiles, c.Stderr = files, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	return c, &said
}

// socket listens on loopback and returns a file of that.
func socket(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, l.Addr().String()
}

var insecure = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}

func wantStatus(t *testing.T, url string, want int) {
	t.Helper()
	r, err := insecure.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	r.Body.Close()
	if r.StatusCode != want {
		t.Errorf("%s: %s", url, r.Status)
	}
}

// TestServeOnInheritedSockets: they take the place of the addresses in brevet.yaml. A
// connection that came before the start waits for it.
func TestServeOnInheritedSockets(t *testing.T) {
	dir, https, public := newAuthority(t)
	one, first := socket(t)
	two, second := socket(t)
	three, third := socket(t)
	early, err := net.Dial("tcp", first)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	c, said := serveWith(t, dir, "https:http:https", one, two, three)
	if err := tls.Client(early, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context()); err != nil {
		t.Error("a connection from before the start:", err)
	}
	wantStatus(t, "https://"+first+"/healthz", 200)
	wantStatus(t, "http://"+second+"/crl/bundle.pem", 200)
	wantStatus(t, "https://"+third+"/healthz", 200)
	for _, address := range []string{https, public} {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			t.Errorf("%s, of brevet.yaml, is listened on", address)
		}
	}
	c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	if !strings.Contains(said.String(), `https="`+first+" "+third+`" http=`+second) {
		t.Errorf("the log does not name the sockets: %s", said)
	}

	// The next process gets the same sockets. One alone leaves the other address as it was.
	c, said = serveWith(t, dir, "https", one)
	wantStatus(t, "https://"+first+"/healthz", 200)
	wantStatus(t, "http://"+public+"/crl/bundle.pem", 200)
	c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}

// TestServeRefusesOtherSockets, which nobody would answer at.
func TestServeRefusesOtherSockets(t *testing.T) {
	dir, _, _ := newAuthority(t)
	good, _ := socket(t)
	path := filepath.Join(filepath.Dir(dir), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	local, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, s := range []struct {
		file       *os.File
		name, want string
	}{
		{good, "brevet.socket", `the socket "brevet.socket" is for nothing here: want the name https, http, metrics or admin (FileDescriptorName=`},
		{good, "", `the socket "" is for nothing here`},
		{local, "https", "listens at " + path + ", and not for TCP"},
		{file, "https", "file descriptor 3 is no socket that listens"},
	} {
		c, said := serveWith(t, dir, s.name, s.file)
		if err := c.Wait(); err == nil || !strings.Contains(said.String(), s.want) {
			t.Errorf("%s: got %v, %s", s.name, err, said)
		}
	}
}

// TestServeBySystemd has systemd's own program hand the sockets over.
func TestServeBySystemd(t *testing.T) {
	activate := peer.Find(t, "systemd-socket-activate")
	dir, _, _ := newAuthority(t)
	program, err := exec.LookPath("brevet")
	if err != nil {
		t.Fatal(err)
	}
	first, second := servertest.FreeAddress(t), servertest.FreeAddress(t)
	var said bytes.Buffer
	c := exec.Command(activate, "-l", first, "-l", second, "--fdname=https:http", "-E", "PATH", program, "--dir", dir, "serve")
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", first); err == nil { // which starts the server
			c.Close()
			break
		}
	}
	wantStatus(t, "https://"+first+"/healthz", 200)
	wantStatus(t, "http://"+second+"/crl/bundle.pem", 200)
	c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, said.String())
	}
	if !slices.Contains(strings.Fields(said.String()), "https="+first) {
		t.Errorf("the log does not name the sockets: %s", said.String())
	}
}
