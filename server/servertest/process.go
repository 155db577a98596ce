package servertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server"
)

// dirVariable tells a test binary to serve the authority in a directory.
const dirVariable = "SERVER_TEST_DIR"

// Main runs the tests of a package, or, in a process that [Spawn] started,
// serves. change, if given, may alter how.
func Main(m *testing.M, change ...func(*server.Config)) {
	dir := os.Getenv(dirVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := serveUntilKilled(dir, change); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveUntilKilled serves the authority in dir, in a process of its own, until
// SIGTERM or until the test that started it is gone.
func serveUntilKilled(dir string, change []func(*server.Config)) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c := server.Config{Dir: dir, Version: "to be killed", Log: log, LimitMemory: true}
	for _, f := range change {
		f(&c)
	}
	s, err := server.New(c)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	go func() {
		<-s.Ready()
		fmt.Println("ready")
	}()
	return s.Run(ctx)
}

// ServerLog is the file beside the store that the processes log to.
const ServerLog = "server.log"

// Patience bounds every wait: what takes longer hangs.
const Patience = 30 * time.Second

// A Process is a server that can be killed.
type Process struct {
	Cmd    *exec.Cmd
	stdin  io.Closer // the process ends when it is closed
	out    *bufio.Reader
	Begun  time.Time
	Ended  chan struct{}
	State  *os.ProcessState // once Ended is closed
	Ending atomic.Bool      // somebody has decided that it ends: nobody may rely on it any more
}

// Spawn starts a server on dir and does not wait for it. The caller kills it.
func Spawn(t *testing.T, dir string) *Process {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, ServerLog), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &Process{Cmd: exec.Command(os.Args[0]), Ended: make(chan struct{})}
	// With the race detector, a process that ends would sleep for a second first.
	p.Cmd.Env = append(os.Environ(), dirVariable+"="+dir, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	p.Cmd.Stderr = log
	if p.stdin, err = p.Cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.Cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	p.Begun = time.Now()
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.State, _ = p.Cmd.Process.Wait()
		close(p.Ended)
		p.stdin.Close()
		out.Close()
	}()
	return p
}

// Ready waits until the server answers and returns how long that took.
func (p *Process) Ready() (time.Duration, error) {
	late := time.AfterFunc(Patience, p.Kill)
	defer late.Stop()
	if _, err := p.out.ReadString('\n'); err != nil {
		p.Kill()
		return 0, fmt.Errorf("the server is not ready after %s: %w; see its log", time.Since(p.Begun), err)
	}
	return time.Since(p.Begun), nil
}

// Kill kills the server and waits until it is gone.
func (p *Process) Kill() {
	p.Ending.Store(true)
	p.Cmd.Process.Kill()
	<-p.Ended
}

// Stop asks the server to end and waits until it is gone.
func (p *Process) Stop() error {
	p.Ending.Store(true)
	p.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended:
		if !p.State.Success() {
			return fmt.Errorf("the server, stopped by SIGTERM: %s", p.State)
		}
		return nil
	case <-time.After(Patience):
		p.Kill()
		return fmt.Errorf("the server did not stop within %s of SIGTERM", Patience)
	}
}
