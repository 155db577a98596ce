package storm_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// These tell a server in a process of its own how long connections may idle
// there, and how many files it may open.
const (
	idleVariable  = "SERVER_TEST_IDLE"
	filesVariable = "SERVER_TEST_FILES"
)

func TestMain(m *testing.M) {
	raidIfTold()
	servertest.Main(m, asTold)
}

func asTold(c *server.Config) {
	if d, err := time.ParseDuration(os.Getenv(idleVariable)); err == nil {
		c.Timeouts.Idle = d
	}
	if n, err := strconv.ParseUint(os.Getenv(filesVariable), 10, 32); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			panic(err)
		}
	}
}

// short says that the suite runs with smaller numbers: see the Makefile.
var short = os.Getenv("BREVET_LONG") == ""

// TestTenThousandIdleConnections: while they idle, an agent gets its
// certificates in ordinary time, and each is closed when its time is over.
func TestTenThousandIdleConnections(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it looks at /proc, which only Linux has")
	}
	n, idle := 10_000, 12*time.Second
	if short {
		n, idle = 1_000, 3*time.Second
	}
	n = min(n, descriptors(t)-500)
	t.Setenv(idleVariable, idle.String())
	w, p := separateWorld(t)
	agent := w.Enroll("bystander", agents.Change{})
	alone := renewTimes(t, agent, 100)
	empty := residentKB(t, p)

	begun := time.Now()
	conns := idlers(t, w, n)
	took := time.Since(begun)
	t.Logf("%d connections in %s; the server has %d kB for each", n, took.Round(time.Millisecond), (residentKB(t, p)-empty)/n)
	if open := openFiles(t, p); open < n && took < idle-time.Second {
		t.Errorf("the server has %d open files, want %d connections", open, n)
	}
	crowded := renewTimes(t, agent, 100)
	t.Logf("renewing alone: median %s, longest %s; among them: median %s, longest %s", alone.median, alone.longest, crowded.median, crowded.longest)
	if crowded.median > 10*alone.median+20*time.Millisecond || crowded.longest > 3*time.Second {
		t.Errorf("renewing among %d idle connections takes %s, at the longest %s", n, crowded.median, crowded.longest)
	}
	if _, err := w.Admin.Suspend(t.Context(), "bystander", ""); err != nil {
		t.Errorf("an operator among them: %v", err)
	}

	var early, late atomic.Int64
	parallel(n, n, func(i int) {
		c := conns[i]
		c.SetReadDeadline(c.since.Add(idle + 20*time.Second))
		_, err := c.Read(make([]byte, 1))
		if errors.Is(err, os.ErrDeadlineExceeded) || time.Since(c.since) > idle+10*time.Second {
			late.Add(1)
		} else if time.Since(c.since) < idle-time.Second {
			early.Add(1)
		}
		c.Close()
	})
	if early.Load() > int64(n/100) || late.Load() > 0 { // on a busy machine some do not finish the handshake in time
		t.Errorf("%d connections were closed long before %s, and %d long after", early.Load(), idle, late.Load())
	}
	for range 50 {
		if openFiles(t, p) < 100 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("the server still has %d open files", openFiles(t, p))
}

// TestTooManyConnections: a client that opens as many connections as it can, over HTTPS and
// plain HTTP, keeps neither operators nor others from the authority, not even those at
// its own address.
func TestTooManyConnections(t *testing.T) {
	t.Setenv(idleVariable, "20s")
	t.Setenv(filesVariable, "300")
	w, p := separateWorld(t)
	agent := w.Enroll("bystander", agents.Change{})
	agent.HTTP.CloseIdleConnections()
	begun := time.Now()
	for i := range 600 {
		address := strings.TrimPrefix(w.URL, "https://")
		if i%2 == 0 {
			address = strings.TrimPrefix(w.HTTP, "http://")
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		}
	}
	for range 100 {
		if openFiles(t, p) > 100 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if n := openFiles(t, p); n > 200 {
		t.Errorf("one address has %d of 200 connections", n)
	}
	if got := agent.Renew(); got.Status != http.StatusOK {
		t.Errorf("a neighbour: %d %s", got.Status, got.Body)
	}
	if got := servertest.Fetch(t, w.HTTP+"/healthz"); string(got) != "ok\n" {
		t.Errorf("over plain HTTP: %s", got)
	}
	if _, err := api.Dial(w.Dir).Suspend(t.Context(), "bystander", ""); err != nil {
		t.Error("an operator: ", err)
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("all of it took %s", took)
	}
}

// descriptors raises the limit of open files as far as it goes, and returns it.
func descriptors(t *testing.T) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < 12_000 { // root may raise it
		raised := syscall.Rlimit{Cur: 12_000, Max: 12_000}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		} else {
			t.Logf("SCALED DOWN: only %d files may be open; raise `ulimit -Hn` to 12000", limit.Max)
		}
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return int(limit.Cur)
}

// separateWorld starts an authority in a process of its own.
func separateWorld(t *testing.T) (*servertest.World, *servertest.Process) {
	t.Helper()
	w := servertest.New(t)
	w.Stop()
	p := servertest.Spawn(t, w.Dir)
	t.Cleanup(p.Kill)
	if _, err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	w.Admin = api.Dial(w.Dir)
	return w, p
}

// An idler is a connection that was used once, at an instant.
type idler struct {
	*tls.Conn
	since time.Time
}

func idlers(t *testing.T, w *servertest.World, n int) []idler {
	t.Helper()
	conns := make([]idler, n)
	config := &tls.Config{
		RootCAs: w.Roots, ServerName: "127.0.0.1", CurvePreferences: []tls.CurveID{tls.X25519}, ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	var mu sync.Mutex
	parallel(n, 64, func(i int) {
		// One address may have half of the room for connections.
		d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%4))}}
		c, err := tls.DialWithDialer(d, "tcp", strings.TrimPrefix(w.URL, "https://"), config)
		if err == nil {
			_, err = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: authority\r\n\r\n")
		}
		for answer := ""; err == nil && !strings.HasSuffix(answer, "\r\n\r\nok\n"); {
			b := make([]byte, 1024)
			var n int
			n, err = c.Read(b)
			answer += string(b[:n])
		}
		if err != nil {
			t.Errorf("connection %d: %v", i, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		conns[i] = idler{c, time.Now()}
		t.Cleanup(func() { c.Close() })
	})
	if t.Failed() {
		t.FailNow()
	}
	return conns
}

// times are what some requests took.
type times struct{ median, longest time.Duration }

// renewTimes renews, each third time on a new connection.
func renewTimes(t *testing.T, a *servertest.Agent, n int) times {
	t.Helper()
	var all []time.Duration
	for i := range n {
		if i%3 == 0 {
			a.HTTP.CloseIdleConnections()
		}
		begun := time.Now()
		if got := a.Renew(); got.Status != http.StatusOK {
			t.Fatalf("renewing: %d %s", got.Status, got.Body)
		}
		all = append(all, time.Since(begun))
	}
	slices.Sort(all)
	return times{all[n/2].Round(time.Microsecond), all[n-1].Round(time.Microsecond)}
}

// openFiles returns how many files the process has open.
func openFiles(t *testing.T, p *servertest.Process) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// residentKB returns how much memory the process has.
func residentKB(t *testing.T, p *servertest.Process) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kb int
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}
