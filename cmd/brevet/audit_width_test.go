package main

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAuditFitsTheTerminal: lines are cut to the width of a terminal, and only there.
func TestAuditFitsTheTerminal(t *testing.T) {
	t.Setenv("COLUMNS", "50")
	t.Setenv("NO_COLOR", "1")
	fakeServer(t, answers{"GET /audit": twoEvents, "GET /audit/missing": nil})
	for _, c := range []struct {
		typed string
		fits  bool
	}{{"audit list", true}, {"audit tail", true}, {"audit list -o wide", false}, {"audit tail -o wide", false}} {
		out := onTerminal(t, strings.Fields(c.typed)...)
		for line := range strings.Lines(out) {
			line = strings.TrimRight(line, "\r\n")
			if fits := width(line) <= 50 && strings.HasSuffix(line, "…"); fits != c.fits {
				t.Errorf("%s prints %q, of %d columns", c.typed, line, width(line))
			}
		}
		if strings.Count(out, "\n") != 2 {
			t.Errorf("%s prints %q", c.typed, out)
		}
	}
	if _, stdout, _ := brevet(t, "", "audit", "list"); strings.Contains(stdout, "…") || !strings.Contains(stdout, "by spiffe://td/agent/x; scope\n") {
		t.Errorf("without a terminal: %q", stdout)
	}
	if _, stdout, _ := brevet(t, "", "audit", "tail", "-o", "json"); stdout != twoEvents {
		t.Errorf("-o json prints %q", stdout)
	}
}

// onTerminal runs brevet with a terminal as standard output, and returns what it shows.
func onTerminal(t *testing.T, typed ...string) string {
	t.Helper()
	master, slave := openTerminal(t)
	defer master.Close()
	shown := make(chan string)
	go func() {
		var all bytes.Buffer
		io.Copy(&all, master) // ends with an error once the other side is closed
		shown <- all.String()
	}()
	run(t.Context(), typed, strings.NewReader(""), slave, io.Discard)
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case s := <-shown:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("the terminal does not end")
		return ""
	}
}

// openTerminal returns both sides of a new terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// TestTablesFitTheTerminal: lists are cut, and what is shown of one thing goes on in the next
// line, unless everything is wanted.
func TestTablesFitTheTerminal(t *testing.T) {
	t.Setenv("COLUMNS", "60")
	t.Setenv("NO_COLOR", "1")
	keys := `[{"id":"` + strings.Repeat("a", 40) + `","purpose":"issuer","state":"active","algorithm":"ecdsa-p256+mldsa65","activated":"2026-01-01T00:00:00Z","expires":"2036-01-01T00:00:00Z"}]`
	status := `{"trust_domain":"td","advertise":"https://ca.example","level":"warning","reasons":[{"id":"x","level":"warning","text":"` + strings.Repeat("word ", 30) + `","mend":"run brevet something"}]}`
	fakeServer(t, answers{"GET /keys": keys, "GET /status": status})
	for typed, fits := range map[string]bool{"key list": true, "key list -o wide": false, "status": true, "status -o wide": false} {
		out, widest := onTerminal(t, strings.Fields(typed)...), 0
		for line := range strings.Lines(out) {
			widest = max(widest, width(strings.TrimRight(line, "\r\n")))
		}
		if fits != (widest <= 60) || !fits && strings.Contains(out, "…") || strings.Contains(typed, "status") && strings.Count(out, "word") != 30 {
			t.Errorf("%s prints %d columns:\n%s", typed, widest, out)
		}
	}
}
