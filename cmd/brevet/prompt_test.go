package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A lockedBuffer is what a command has written so far.
type lockedBuffer struct {
	sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.String()
}

// A typist sits at the terminal of a command.
type typist struct {
	t              *testing.T
	master         *os.File
	in             *os.File // of the command
	stdout, stderr lockedBuffer
	screen         lockedBuffer // what the terminal itself shows
	status         chan int
	asked          int
}

func newTypist(t *testing.T) *typist {
	master, slave := openTerminal(t)
	y := &typist{t: t, master: master, in: slave, status: make(chan int, 1)}
	go io.Copy(&y.screen, master) // until the terminal is closed
	return y
}

func (y *typist) run(ctx context.Context, typed ...string) {
	y.asked = 0
	y.stdout.Reset()
	y.stderr.Reset()
	go func() { y.status <- run(ctx, typed, y.in, &y.stdout, &y.stderr) }()
}

func (y *typist) echoes() bool {
	state, err := unix.IoctlGetTermios(int(y.in.Fd()), unix.TCGETS)
	if err != nil {
		y.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

func (y *typist) eventually(what string, is func() bool) {
	y.t.Helper()
	for range 1000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	y.t.Fatalf("%s: it never came\n%s", what, y.stderr.String())
}

// answer waits for the next question, types an answer, and fails if it shows.
func (y *typist) answer(question, text string) {
	y.t.Helper()
	y.eventually(question, func() bool { return strings.Contains(y.stderr.String()[y.asked:], question+": ") && !y.echoes() })
	y.asked = len(y.stderr.String())
	if _, err := y.master.WriteString(text + "\n"); err != nil {
		y.t.Fatal(err)
	}
	y.eventually("the end of the line", func() bool { return len(y.stderr.String()) > y.asked })
}

// ends waits for the end of the command.
func (y *typist) ends(status int) {
	y.t.Helper()
	if got := <-y.status; got != status {
		y.t.Fatalf("status %d, want %d: %s", got, status, y.stderr.String())
	}
	if !y.echoes() {
		y.t.Error("the terminal echoes no more")
	}
	for _, secret := range []string{"correct horse", "another fifteen"} {
		if strings.Contains(y.stdout.String()+y.stderr.String()+y.screen.String(), secret) {
			y.t.Errorf("a passphrase is printed:\n%s%s%s", y.stdout.String(), y.stderr.String(), y.screen.String())
		}
	}
}

// TestPassphrasesAreTyped: an authority is made, and its passphrase changed, at a terminal.
func TestPassphrasesAreTyped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	y := newTypist(t)
	y.run(t.Context(), "init", "--dir", dir, "--trust-domain", "example.internal")
	const ask, again = "New passphrase for the key files", "The same again"
	y.answer(ask, "short")
	y.answer(ask, "correct horse battery staple")
	y.answer(again, "correct horse battery stable")
	y.answer(ask, "correct horse battery staple")
	y.answer(again, "correct horse battery staple")
	y.ends(0)
	for _, want := range []string{"the passphrase has 5 characters: want 12", "Estimated strength of the passphrase: 59 bits, fair.", "the two are not the same"} {
		if !strings.Contains(y.stderr.String(), want) {
			t.Errorf("got %s, want %q", y.stderr.String(), want)
		}
	}
	y.run(t.Context(), "key", "seal", "--dir", dir)
	y.answer("Present passphrase of the key files in "+dir, "something else")
	y.ends(1)
	if !strings.Contains(y.stderr.String(), "wrong passphrase") {
		t.Error(y.stderr.String())
	}
	y.run(t.Context(), "key", "seal", "--dir", dir, "--passphrase-file", "-")
	y.answer("Present passphrase of the key files in "+dir, "correct horse battery staple")
	y.answer("New passphrase", "another fifteen")
	y.answer(again, "another fifteen")
	y.ends(0)
	y.run(t.Context(), "key", "seal", "--dir", dir, "--no-passphrase")
	y.answer("Present passphrase of the key files in "+dir, "another fifteen")
	y.ends(0)
}

// TestInterruptedPrompt: an interrupt ends the question, and the terminal echoes again.
func TestInterruptedPrompt(t *testing.T) {
	y := newTypist(t)
	ctx, stop := context.WithCancel(t.Context())
	y.run(ctx, "init", "--dir", filepath.Join(t.TempDir(), "a"), "--trust-domain", "example.internal")
	y.eventually("the question", func() bool { return strings.Contains(y.stderr.String(), ": ") && !y.echoes() })
	stop()
	y.ends(1)
	if !strings.Contains(y.stderr.String(), "interrupted") {
		t.Error(y.stderr.String())
	}
	y.master.WriteString("\n") // for the reader that is left
}
