package crash_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/servertest"
)

var (
	crashes   = flag.Int("crashes", 0, "how often TestCrash kills the server; 0 means 50, or 1,000 if BREVET_LONG is set")
	crashSeed = flag.Uint64("crash-seed", 0, "what TestCrash draws its random numbers from; 0 means a new seed")
)

// TestCrash kills a server again and again, with SIGKILL, in the middle of all
// that clients and operators ask for, and has the next one on the same
// directory stand by every answer that anybody received in whole:
//
//   - a credential that a client received is on record and in the audit log,
//     whether by enrollment, renewal, OAuth or ACME;
//   - an ACME account and an order that were answered are there, an order that
//     was answered with a certificate has it, and an account that ended stays so;
//   - the log is whole, and agrees with every checkpoint that was seen;
//   - the first CRL has a greater number than any that was seen;
//   - what was revoked or suspended stays dead: introspection says inactive,
//     renewal is refused, and the CRL lists it;
//   - an enrollment token that was used cannot be used again, and one whose
//     use was not answered works or has its certificate on record;
//   - the start takes no longer than after SIGTERM.
//
// Nothing else than what was asked for happened either: the log has no more
// events than were asked for, the store no more credentials than the log, and
// nobody lost a credential that nobody revoked. The test
// cannot tell what a crash of the machine leaves: the kernel keeps what a killed
// process has written.
func TestCrash(t *testing.T) {
	n, seed := *crashes, *crashSeed
	switch {
	case n > 0:
	case os.Getenv("BREVET_LONG") != "":
		n = 1000
	default:
		n = 50
	}
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("%d crashes, -crash-seed %d", n, seed)
	w := newCrashWorld(t, seed)
	w.start()
	w.setUp()
	for w.round = 1; w.round <= n && !t.Failed(); w.round++ {
		w.crash()
		if w.random.IntN(2) == 0 { // else the store is found as the crash left it
			w.checkStore(false)
		}
		if w.random.IntN(10) == 0 && w.round < n {
			w.round++
			w.crashAtStart()
		}
		w.late = append(w.late, w.start())
		w.checkServer()
		if w.round%max(n/25, 2) == 0 {
			w.must("stopping", w.process.Stop())
			w.clean = append(w.clean, w.start())
		}
	}
	if t.Failed() {
		return
	}
	w.must("stopping", w.process.Stop())
	w.checkStore(true)
	w.checkStarts()
	w.checkServerLog()
	t.Log(w)
}

// crash lets clients and operators loose on the server and kills it: after
// some time, in the moment after some answer, or while it shuts down.
func (w *crashWorld) crash() {
	l := &load{crashWorld: w, fatal: []string{"time", "credential", "change"}[w.random.IntN(3)]}
	l.left.Store(1 + w.random.Int64N(map[string]int64{"time": 1, "credential": 60, "change": 10}[l.fatal]))
	seed, shutdown := w.random.Uint64(), w.random.IntN(10) == 0
	grace := time.Duration(w.random.Int64N(int64(10 * time.Millisecond)))
	span := 30*time.Millisecond + time.Duration(w.random.Int64N(int64(120*time.Millisecond)))
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(seed)
	}()
	select {
	case <-w.process.Ended:
		if !w.process.Ending.Load() {
			w.fail("the server ended by itself: %s", w.process.State)
		}
	case <-time.After(span):
		if shutdown {
			w.process.Ending.Store(true)
			w.process.Cmd.Process.Signal(syscall.SIGTERM)
			time.Sleep(grace)
		}
	}
	w.process.Kill()
	<-done
	for _, a := range w.agents { // nobody is at anything any more
		a.http.CloseIdleConnections()
	}
}

// crashAtStart kills a server that may not be ready yet.
func (w *crashWorld) crashAtStart() {
	w.process = servertest.Spawn(w.t, w.dir)
	time.Sleep(time.Duration(w.random.Int64N(int64(50 * time.Millisecond))))
	w.process.Kill()
}

// checkStarts compares how long starts took after a crash with how long they
// took otherwise, on a store of about the same sizes.
func (w *crashWorld) checkStarts() {
	slices.Sort(w.late)
	slices.Sort(w.clean)
	usual, median := w.clean[len(w.clean)/2], w.late[len(w.late)/2]
	if median > 3*usual {
		w.fail("the median start took %s after a crash and %s after SIGTERM", median, usual)
	}
	slow := 0
	for _, took := range w.late {
		if took > 10*max(usual, w.clean[len(w.clean)-1]/2) {
			slow++
		}
	}
	if slow > len(w.late)/10 { // others use the machine, too
		w.fail("%d of %d starts after a crash took ten times as long as usual, %s; the longest %s", slow, len(w.late), usual, w.late[len(w.late)-1])
	}
}

// checkServerLog looks for what no crash excuses.
func (w *crashWorld) checkServerLog() {
	text, err := os.ReadFile(w.path(servertest.ServerLog))
	w.must("reading the servers' log", err)
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") || strings.Contains(line, "DATA RACE") {
			w.fail("the server logged: %s", line)
			return
		}
	}
}

// String tells what happened.
func (w *crashWorld) String() string {
	info, err := os.Stat(w.path("brevet.db"))
	if err != nil {
		return err.Error()
	}
	changes := map[string]int{}
	for op, n := range w.acked {
		changes[op.action] += n
	}
	return fmt.Sprintf("%d agents, %d credentials received (%v), %d of them dead; operators did %v; %d events, %d checks of the store, %d of them whole; %.1f MB; starts: %s after SIGTERM, %s after SIGKILL (medians)",
		len(w.agents), len(w.credentials), w.count, len(w.dead), changes, w.store.next, w.store.checks, w.store.whole, float64(info.Size())/1e6,
		w.clean[len(w.clean)/2].Round(time.Millisecond), w.late[len(w.late)/2].Round(time.Millisecond))
}
