// Package fleet_test has many agents, each a process of its own, live through an outage.
package fleet_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/client"
	"github.com/brevet-ca/brevet/server/servertest"
)

// dirVariable tells a test binary to be the agent of a directory.
const dirVariable = "FLEET_TEST_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(dirVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	go func() { // the test that started it is gone
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	id, err := client.Load(dir)
	if err == nil {
		err = id.Run(context.Background(), nil)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// A fleet is the directories of agents, and their processes.
type fleet struct {
	t         *testing.T
	dirs      []string
	processes []*exec.Cmd
}

func (f *fleet) start(dir string) {
	f.t.Helper()
	p := exec.Command(os.Args[0])
	p.Env, p.Stderr = append(os.Environ(), dirVariable+"="+dir), os.Stderr
	stdin, err := p.StdinPipe()
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		stdin.Close()
		p.Process.Signal(syscall.SIGCONT)
		if err := p.Wait(); err != nil {
			f.t.Errorf("the agent of %s ended: %v", dir, err)
		}
	})
	f.dirs, f.processes = append(f.dirs, dir), append(f.processes, p)
}

// signal sends a signal to the first n agents.
func (f *fleet) signal(n int, s syscall.Signal) {
	for _, p := range f.processes[:n] {
		p.Process.Signal(s)
	}
}

// lost returns the directories whose certificates have expired.
func (f *fleet) lost() (all []string) {
	for _, dir := range f.dirs {
		id, err := client.Load(dir)
		if err != nil {
			f.t.Fatal(err)
		}
		if !time.Now().Before(id.Certificate().NotAfter) {
			all = append(all, filepath.Base(dir))
		}
	}
	return all
}

// TestFleetComesBack: the server is away for longer than certificates of a minute live, and
// some of the machines are asleep. All agents come back within one retry interval, without a
// person, and no more than 50 renewals reach the server within a second. The short form, with
// clocks that step, is in package client.
func TestFleetComesBack(t *testing.T) {
	if os.Getenv("BREVET_LONG") == "" {
		t.Skip("it takes five minutes: set BREVET_LONG=1")
	}
	const agentsInAll, asleep, retry = 100, 40, 30 * time.Second
	w := servertest.New(t)
	w.Configure("profiles:\n  default: {lifetime: 1m}\n")
	pin, err := client.ParseFingerprint(w.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t}
	for i := range agentsInAll {
		name := fmt.Sprintf("agent-%d", i)
		dir, invited := filepath.Join(t.TempDir(), name), w.Add(name, agents.Change{})
		if _, err := client.Enroll(t.Context(), client.EnrollConfig{
			Server: w.URL, Fingerprints: []client.Fingerprint{pin}, Token: client.NewSecret(invited.Enrollment.Token), Dir: dir,
		}); err != nil {
			t.Fatal(err)
		}
		f.start(dir)
	}
	time.Sleep(90 * time.Second)
	if lost := f.lost(); len(lost) > 0 {
		t.Fatalf("before the outage, certificates ended: %v", lost)
	}
	f.signal(asleep, syscall.SIGSTOP)
	w.Stop()
	time.Sleep(150 * time.Second)
	if lost := f.lost(); len(lost) != agentsInAll {
		t.Fatalf("during the outage, only %d certificates ended", len(lost))
	}
	w.Start()
	f.signal(asleep, syscall.SIGCONT)
	back := time.Now()
	time.Sleep(retry + 5*time.Second) // the requests take their time, too
	if lost := f.lost(); len(lost) > 0 {
		t.Errorf("%s after the outage, %d are not back: %v", time.Since(back), len(lost), lost)
	}
	var late []time.Time
	for _, e := range w.Events() {
		if e.Action == "certificate.issue" && strings.HasPrefix(strings.Join(e.Reasons, " "), "expired client certificate ") {
			late = append(late, e.Time)
		}
	}
	if len(late) < agentsInAll {
		t.Errorf("%d renewals of expired certificates", len(late))
	}
	for i := 50; i < len(late); i++ {
		if late[i].Sub(late[i-50]) < time.Second {
			t.Fatalf("more than 50 renewals in the second before %s", late[i])
		}
	}
}
