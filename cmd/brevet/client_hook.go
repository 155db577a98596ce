package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
)

// changedVariable tells a command which files changed.
const changedVariable = "BREVET_CHANGED"

const (
	// calm is how long nothing must change before a cycle of changes is over.
	calm = 300 * time.Millisecond
	// maxCycle is how long a new certificate waits for the token that goes with it.
	maxCycle = 10 * time.Second
)

// A hook tells others of changes: it runs a command, then sends a signal.
type hook struct {
	command string         // "" for none
	signal  syscall.Signal // 0 for none
	pid     string         // process that gets the signal: its number, or a file with it
	log     *slog.Logger
	out     io.Writer     // for what the command prints
	changed chan struct{} // holds an element while there is something new

	mu      sync.Mutex
	files   []string // that changed since the last cycle
	waiting bool     // for a token
}

func hookOf(c *cli.Context) (*hook, error) {
	h := newHook(c.String("exec"), logger(c, slog.LevelInfo, false), c.App.Writer)
	if c.IsSet("signal") != c.IsSet("pid") {
		return nil, misuse(c, "--signal and --pid go together")
	}
	if !c.IsSet("signal") {
		return h, nil
	}
	var err error
	if h.signal, err = parseSignal(c.String("signal")); err != nil {
		return nil, misuse(c, "--signal: %v", err)
	}
	h.pid = c.String("pid")
	if number, err := parsePID(h.pid); number == 0 && err != nil {
		return nil, misuse(c, "--pid: %v", err)
	}
	return h, nil
}

func newHook(command string, log *slog.Logger, out io.Writer) *hook {
	return &hook{command: command, log: log, out: out, changed: make(chan struct{}, 1)}
}

// note adds files that changed.
func (h *hook) note(files ...string) {
	h.mu.Lock()
	for _, f := range files {
		if !slices.Contains(h.files, f) {
			h.files = append(h.files, f)
		}
	}
	h.mu.Unlock()
	h.wake()
}

// expect says that the cycle ends with a token, and arrived that the token came or failed.
func (h *hook) expect() { h.wait(true) }

func (h *hook) arrived() { h.wait(false) }

func (h *hook) wait(waiting bool) {
	h.mu.Lock()
	h.waiting = waiting
	h.mu.Unlock()
	h.wake()
}

func (h *hook) wake() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// run has a goroutine of its own, so that a command which hangs does not keep credentials
// from being renewed.
func (h *hook) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.changed:
		}
		if files := h.cycle(ctx); len(files) > 0 && ctx.Err() == nil {
			h.tell(ctx, files)
		}
	}
}

// cycle waits for the end of a cycle of changes, and returns the files.
func (h *hook) cycle(ctx context.Context) []string {
	end := time.NewTimer(maxCycle)
	defer end.Stop()
	for over := false; !over; {
		h.mu.Lock()
		pause := time.NewTimer(calm)
		if h.waiting {
			pause.Reset(maxCycle)
		}
		h.mu.Unlock()
		select {
		case <-h.changed:
		case <-pause.C:
			over = true
		case <-end.C:
			over = true
		case <-ctx.Done():
			over = true
		}
		pause.Stop()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	files := h.files
	h.files, h.waiting = nil, false
	return files
}

// tell runs the command and sends the signal.
func (h *hook) tell(ctx context.Context, files []string) {
	if h.command != "" {
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", h.command)
		cmd.Env = append(os.Environ(), changedVariable+"="+strings.Join(files, "\n"))
		cmd.Stdout, cmd.Stderr = h.out, h.out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to stop what it started, too
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
		cmd.WaitDelay = 5 * time.Second
		if err := cmd.Run(); err != nil && ctx.Err() == nil {
			h.log.Error("running the command", "command", h.command, "error", err)
		}
	}
	if h.signal == 0 {
		return
	}
	pid, err := parsePID(h.pid)
	if err == nil {
		err = syscall.Kill(pid, h.signal)
	}
	if errors.Is(err, syscall.ESRCH) {
		err = fmt.Errorf("no process %d", pid)
	}
	if err != nil {
		h.log.Error("sending the signal", "pid", h.pid, "error", err)
	}
}
