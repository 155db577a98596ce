package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestEnrollmentTokenStaysSecret enrolls with nobody, from each source of the
// token, and looks for it in what is printed.
func TestEnrollmentTokenStaysSecret(t *testing.T) {
	const secret = "brevet_enroll_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	argv := []string{"client", "enroll", "--server", "https://127.0.0.1:1", "--fingerprint", zeros, "--out", filepath.Join(dir, "out"), "--verbose"}
	for source, flags := range map[string][]string{"file": {"--token-file", file}, "stdin": {"--token-file", "-"}, "variable": nil} {
		if source == "variable" {
			t.Setenv(tokenVariable, secret)
		}
		status, stdout, stderr := brevet(t, secret, append(argv, flags...)...)
		if status != 1 || !strings.Contains(stderr, "https://127.0.0.1:1") || strings.Contains(stdout+stderr, secret[20:]) {
			t.Errorf("from %s: got status %d, %q and %s", source, status, stdout, stderr)
		}
	}
	status, _, stderr := brevet(t, " \n", append(argv, "--token-file", "-")...)
	if status != 1 || !strings.Contains(stderr, "- holds no enrollment token") {
		t.Errorf("from nothing: got status %d and %s", status, stderr)
	}
}

func quietHook(command string, out io.Writer) *hook {
	return newHook(command, slog.New(slog.NewTextHandler(io.Discard, nil)), out)
}

// runHook runs a hook until the test ends, or until stop is called.
func runHook(t *testing.T, h *hook) (stop func(), done chan struct{}) {
	ctx, cancel := context.WithCancel(t.Context())
	done = make(chan struct{})
	go func() { h.run(ctx); close(done) }()
	return cancel, done
}

func TestCommandRunsAfterChanges(t *testing.T) {
	r, w := io.Pipe()
	h := quietHook("echo $BREVET_CHANGED; exit 3", w)
	stop, done := runHook(t, h)
	for range 2 {
		h.note("a b", "c")
		h.note("c", "d")
		line := make([]byte, len("a b c d\n"))
		if _, err := io.ReadFull(r, line); err != nil || string(line) != "a b c d\n" {
			t.Fatalf("got %q, %v", line, err)
		}
	}
	stop()
	<-done
}

// TestOneCommandForCertificateAndToken: the command waits for the token that goes with a
// new certificate, for much longer than the calm between cycles.
func TestOneCommandForCertificateAndToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := quietHook("", io.Discard)
		h.expect()
		h.note("cert.pem")
		go func() {
			time.Sleep(5 * time.Second)
			h.note("token")
			h.arrived()
		}()
		start := time.Now()
		if got := h.cycle(t.Context()); strings.Join(got, " ") != "cert.pem token" || time.Since(start) > 6*time.Second {
			t.Errorf("got %v after %v", got, time.Since(start))
		}
		h.expect()
		h.note("cert.pem")
		if got := h.cycle(t.Context()); strings.Join(got, " ") != "cert.pem" {
			t.Errorf("without a token: got %v", got)
		}
	})
}

// TestCommandThatHangs keeps neither changes from being noted nor the program
// from ending.
func TestCommandThatHangs(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	h := quietHook("touch "+started+"; sleep 600; true", new(bytes.Buffer))
	stop, done := runHook(t, h)
	h.note("file")
	for {
		if _, err := os.Stat(started); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	for range 10 {
		h.note("file")
	}
	stop()
	select {
	case <-done:
	case <-time.After(4 * time.Second):
		t.Error("the command was not stopped")
	}
}

// TestSignalAfterChanges sends a signal to this process, by its number and by a file.
func TestSignalAfterChanges(t *testing.T) {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGWINCH)
	defer signal.Stop(got)
	file := filepath.Join(t.TempDir(), "pid")
	number := strconv.Itoa(os.Getpid())
	if err := os.WriteFile(file, []byte(number+"\n/var/lib\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []string{number, file} {
		h := quietHook("", io.Discard)
		h.pid, h.signal = pid, syscall.SIGWINCH
		h.tell(t.Context(), []string{"file"})
		select {
		case <-got:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: no signal came", pid)
		}
	}
	for _, wrong := range []string{"0", "-1", "1x"} {
		if pid, err := parsePID(wrong); err == nil {
			t.Errorf("%q is process %d", wrong, pid)
		}
	}
	for name, want := range map[string]syscall.Signal{"HUP": syscall.SIGHUP, "sigusr1": syscall.SIGUSR1, "15": syscall.SIGTERM, "": 0, "0": 0, "SIG": 0, "NONE": 0} {
		if s, err := parseSignal(name); s != want || (err == nil) != (want != 0) {
			t.Errorf("%q: got %v, %v", name, s, err)
		}
	}
}
