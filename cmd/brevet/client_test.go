package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

func newKeeper(command string, out io.Writer) keeper {
	return keeper{command: command, out: out, log: slog.New(slog.NewTextHandler(io.Discard, nil)), changed: make(chan struct{}, 1)}
}

func TestCommandRunsAfterChanges(t *testing.T) {
	r, w := io.Pipe()
	k := newKeeper("echo changed; exit 3", w)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { k.execute(ctx); close(done) }()
	for range 3 {
		k.change()
		line := make([]byte, len("changed\n"))
		if _, err := io.ReadFull(r, line); err != nil || string(line) != "changed\n" {
			t.Fatalf("got %q, %v", line, err)
		}
	}
	cancel()
	<-done
}

// TestCommandThatHangs keeps neither changes from being noted nor the program
// from ending.
func TestCommandThatHangs(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	k := newKeeper("touch "+started+"; sleep 600; true", new(bytes.Buffer))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { k.execute(ctx); close(done) }()
	k.change()
	for {
		if _, err := os.Stat(started); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	for range 10 {
		k.change()
	}
	cancel()
	select {
	case <-done:
	case <-time.After(4 * time.Second):
		t.Error("the command was not stopped")
	}
}
