package sinks

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestRsyslogTakesEvents sends events to rsyslog over TLS, restarts it, and reads what it wrote.
func TestRsyslogTakesEvents(t *testing.T) {
	t.Parallel()
	daemon := peer.Find(t, "rsyslogd")
	secure, ca := certificate(t, http.NotFoundHandler())
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	out := filepath.Join(dir, "events")
	config := fmt.Sprintf(`global(maxMessageSize="32k" workDirectory=%q
  defaultNetstreamDriverCAFile=%q defaultNetstreamDriverCertFile=%[2]q defaultNetstreamDriverKeyFile=%q)
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" address="127.0.0.1" port="%d")
template(name="event" type="string" string="%%hostname%%|%%app-name%%|%%msgid%%|%%syslogfacility-text%%|%%syslogseverity-text%%|%%msg%%\n")
action(type="omfile" file=%q template="event")
`, dir, ca, privateKey(t, secure), port, out)
	if err := os.WriteFile(filepath.Join(dir, "rsyslog.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func() *exec.Cmd {
		t.Helper()
		cmd := exec.Command(daemon, "-n", "-f", filepath.Join(dir, "rsyslog.conf"), "-i", filepath.Join(dir, "pid"))
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
			if t.Failed() {
				t.Logf("rsyslogd said %s", &said)
			}
		})
		return cmd
	}
	db := openStore(t, t.TempDir())
	defer db.Close()
	r := start(t, db, Config{Name: "siem", Kind: Syslog, Target: fmt.Sprintf("tls://127.0.0.1:%d", port), CA: ca})
	r.add(30)
	first := run()
	r.caughtUp()
	first.Process.Signal(syscall.SIGTERM)
	first.Wait()
	r.add(30)
	run()
	r.caughtUp()
	var got received
	until(t, func() bool {
		got = received{}
		text, _ := os.ReadFile(out)
		for line := range bytes.Lines(text[:bytes.LastIndexByte(text, '\n')+1]) { // the rest is still being written
			rest, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("brevet.example.internal|brevet|token.mint|"))
			parts := bytes.SplitN(rest, []byte("|"), 3)
			if !ok || len(parts) != 3 || string(parts[1]) != "info" {
				t.Fatalf("a line is %q", line)
			}
			if err := got.take(bytes.TrimPrefix(parts[2], []byte(" "))); err != nil {
				t.Fatal(err)
			}
		}
		return got.count() == 60
	})
	got.check(t, db)
}
