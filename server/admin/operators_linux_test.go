package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// The users that brevet.yaml lists here, by user id, and one that it does not list.
const (
	viewerUID   = 54321
	operatorUID = 54322
	strangerUID = 54323
)

// dialAs opens a connection as another user.
func dialAs(uid int, path string) (c net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			err = errno
			return
		}
		c, err = net.Dial("unix", path)
	}()
	<-done
	return c, err
}

// askAs sends a request over the socket as another user.
func (w *world) askAs(uid int, method, path, body string) (status int, text string) {
	w.t.Helper()
	dial := func(context.Context, string, string) (net.Conn, error) { return dialAs(uid, w.File(api.SocketName)) }
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://brevet"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	transport := &http.Transport{DialContext: dial}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(all)
}

// TestListedUsersShareTheSocket: one who opens many connections leaves room for everybody
// else, and gets room back by closing some.
func TestListedUsersShareTheSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	dir := shortDir(t)
	l, err := admin.Listen(dir, admin.Operators{viewerUID: policy.Person("eve", persons.Viewer)}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	open := func(uid int) net.Conn {
		t.Helper()
		c, err := dialAs(uid, filepath.Join(dir, api.SocketName))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var first net.Conn
	for range 32 {
		open(viewerUID)
		first = <-accepted
	}
	for range 3 {
		if _, err := open(viewerUID).Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("one connection too many: got %v", err)
		}
		open(0)
		(<-accepted).Close() // makes room for root's next one, and for no other
	}
	first.Close()
	first.Close() // counts once
	open(viewerUID)
	<-accepted
	if _, err := open(viewerUID).Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after one was closed and another opened, one too many: got %v", err)
	}
}

// TestListedUsersOperateUnderTheirNames: those that brevet.yaml lists get in, may do what
// their role allows, and are named in the log. All others get no answer.
func TestListedUsersOperateUnderTheirNames(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	w := &world{World: servertest.New(t), t: t}
	w.Configure("operators: {54321: {name: eve, role: viewer}, 54322: {name: oscar, role: operator}}\n")
	if info, err := os.Stat(w.File(api.SocketName)); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for dir := w.Dir; len(dir) > len(os.TempDir()); dir = dir[:strings.LastIndexByte(dir, '/')] {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if status, text := w.askAs(strangerUID, "GET", "/status", ""); status != 0 {
		t.Errorf("a stranger got %d %s", status, text)
	}
	if status, text := w.askAs(viewerUID, "GET", "/agents", ""); status != 200 {
		t.Errorf("the viewer got %d %s", status, text)
	}
	const bot = `{"name":"bot","owner":"team"}`
	if status, text := w.askAs(viewerUID, "POST", "/agents", bot); status != 403 || !strings.Contains(text, "needs the role operator, and operator:eve has viewer") {
		t.Errorf("the viewer got %d %s", status, text)
	}
	if status, text := w.askAs(operatorUID, "POST", "/agents", bot); status != 200 {
		t.Errorf("the operator got %d %s", status, text)
	}
	if status, text := w.askAs(operatorUID, "POST", "/agents/bot/suspend", ""); status != 403 {
		t.Errorf("the operator got %d %s", status, text)
	}
	for _, path := range []string{"/backup", "/audit/export", "/audit/segments/x"} {
		status, text := w.askAs(operatorUID, "GET", path, "")
		var refusal api.Error
		if err := json.Unmarshal([]byte(text), &refusal); status != 403 || err != nil || refusal.Status != 403 {
			t.Errorf("%s: the operator got %d %.80q", path, status, text)
		}
	}
	w.Add("other", agents.Change{})
	var told []string
	for _, e := range w.Events() {
		if e.Action == "agent.add" || e.Decision == "deny" {
			told = append(told, e.Actor+" "+e.Action+" "+e.Subject+" "+e.Decision)
		}
	}
	want := []string{
		"operator:eve agent.add bot deny", "operator:oscar agent.add bot allow", "operator:oscar agent.suspend bot deny",
		"operator:oscar authority.backup example.internal deny", "operator:oscar audit.export example.internal deny", "operator:oscar audit.export example.internal deny",
		"uid=0 agent.add other allow",
	}
	if strings.Join(told, "\n") != strings.Join(want, "\n") {
		t.Errorf("recorded is\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}
