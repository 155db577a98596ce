package server_test

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

// serveUntilKilled serves the authority in dir, in a process of its own, until
// SIGTERM or until the test that started it is gone.
func serveUntilKilled(dir string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := server.New(server.Config{Dir: dir, Version: "to be killed", Log: log})
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

// serverLog is the file beside the store that the processes log to.
const serverLog = "server.log"

// patience bounds every wait: what takes longer hangs.
const patience = 30 * time.Second

// A process is a server that can be killed.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer // the process ends when it is closed
	out    *bufio.Reader
	begun  time.Time
	ended  chan struct{}
	state  *os.ProcessState // once ended is closed
	ending atomic.Bool      // somebody has decided that it ends: nobody may rely on it any more
}

// spawn starts a server on dir and does not wait for it. The caller kills it.
func spawn(t *testing.T, dir string) *process {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, serverLog), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &process{cmd: exec.Command(os.Args[0]), ended: make(chan struct{})}
	// With the race detector, a process that ends would sleep for a second first.
	p.cmd.Env = append(os.Environ(), "SERVER_TEST_CHILD=serve", "SERVER_TEST_DIR="+dir, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	p.cmd.Stderr = log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	p.begun = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.state, _ = p.cmd.Process.Wait()
		close(p.ended)
		p.stdin.Close()
		out.Close()
	}()
	return p
}

// ready waits until the server answers and returns how long that took.
func (p *process) ready() (time.Duration, error) {
	late := time.AfterFunc(patience, p.kill)
	defer late.Stop()
	if _, err := p.out.ReadString('\n'); err != nil {
		p.kill()
		return 0, fmt.Errorf("the server is not ready after %s: %w; see its log", time.Since(p.begun), err)
	}
	return time.Since(p.begun), nil
}

// kill kills the server and waits until it is gone.
func (p *process) kill() {
	p.ending.Store(true)
	p.cmd.Process.Kill()
	<-p.ended
}

// stop asks the server to end and waits until it is gone.
func (p *process) stop() error {
	p.ending.Store(true)
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		if !p.state.Success() {
			return fmt.Errorf("the server, stopped by SIGTERM: %s", p.state)
		}
		return nil
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("the server did not stop within %s of SIGTERM", patience)
	}
}
