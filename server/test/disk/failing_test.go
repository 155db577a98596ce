//go:build linux

package disk_test

import (
	"fmt"
	"net/http"

	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// A disk is what a running authority writes its store to. It can be made to
// fail: the file descriptor that the authority has open then is one of the same
// file that may only be read.
type disk struct {
	t                   *testing.T
	inUse, well, unwell int
}

func diskOf(t *testing.T, w *servertest.World) *disk {
	t.Helper()
	d := &disk{t: t, inUse: -1}
	path := w.File("brevet.db")
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range open {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == path {
			fmt.Sscan(e.Name(), &d.inUse)
		}
	}
	if d.well, err = syscall.Dup(d.inUse); err != nil {
		t.Fatal("finding the store among the open files: ", err)
	}
	if d.unwell, err = syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(d.well); syscall.Close(d.unwell) })
	return d
}

func (d *disk) fail()    { d.use(d.unwell) }
func (d *disk) recover() { d.use(d.well) }

func (d *disk) use(fd int) {
	if err := syscall.Dup3(fd, d.inUse, syscall.O_CLOEXEC); err != nil {
		d.t.Error(err)
	}
}

func TestFailingDiskRefusesEverything(t *testing.T) {
	w := servertest.New(t)
	ctx := t.Context()
	bot := w.Enroll("bot", agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}})
	resource := w.Enroll("api", agents.Change{Scopes: []string{"brevet:introspect"}})
	token := bot.Token(nil).JSON["access_token"].(string)
	invited, newcomer := w.Add("newcomer", agents.Change{}), &servertest.Agent{World: w}
	request := map[string]any{"token": invited.Enrollment.Token, "csr": newcomer.CSR(nil)}
	entries := len(w.Events())
	d := diskOf(t, w)
	d.fail()
	servertest.Want(t, "enrolling", w.PostJSON(w.Client(), "/v1/enroll", request), http.StatusServiceUnavailable, "about:blank")
	servertest.Want(t, "renewing", bot.Renew(), http.StatusServiceUnavailable, "about:blank")
	servertest.Want(t, "a token", bot.Token(nil), http.StatusServiceUnavailable, "temporarily_unavailable")
	for what, err := range map[string]error{
		"agent add":    second(w.Admin.AddAgent(ctx, "late", api.Change{Owner: new("team")})),
		"suspend":      second(w.Admin.Suspend(ctx, "bot", "")),
		"cert revoke":  second(w.Admin.RevokeCertificate(ctx, bot.Serial(), "")),
		"crl publish":  second(w.Admin.PublishCRL(ctx)),
		"agent resume": second(w.Admin.Resume(ctx, "api")),
	} {
		servertest.WantLine(t, what, err, "bad file descriptor")
	}
	servertest.Want(t, "readyz", w.Readyz(), http.StatusServiceUnavailable, "critical\n")
	servertest.Want(t, "introspection", resource.Introspect(token), http.StatusOK, `"active":true`)

	d.recover()
	servertest.Want(t, "enrolling afterwards", w.PostJSON(w.Client(), "/v1/enroll", request), http.StatusOK, "")
	servertest.Want(t, "readyz afterwards", w.Readyz(), http.StatusOK, "")
	if got := len(w.Events()); got != entries+1 {
		t.Errorf("%d entries in the log, want the one of the enrollment after %d", got, entries)
	}
	if err := second(w.Admin.Suspend(ctx, "bot", "")); err != nil {
		t.Error(err)
	}
	w.WantSound()
}

// TestDiskFailsInTheMiddle lets it fail again and again while agents obtain
// tokens and operators suspend and resume.
func TestDiskFailsInTheMiddle(t *testing.T) {
	w := servertest.New(t)
	const count = 4
	var bots []*servertest.Agent
	for i := range count {
		bots = append(bots, w.Enroll(fmt.Sprintf("bot-%d", i), agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}}))
	}
	d := diskOf(t, w)
	var stop atomic.Bool
	var wait sync.WaitGroup
	minted, suspended := make([]int, count), make([]int, count)
	for i, bot := range bots {
		wait.Go(func() {
			for n := 0; !stop.Load(); n++ {
				switch got := bot.Token(nil); got.Status {
				case http.StatusOK:
					minted[i]++
				case http.StatusServiceUnavailable:
				default:
					t.Errorf("a token: %d %s", got.Status, got.Body)
				}
				name := fmt.Sprintf("extra-%d-%d", i, n)
				if second(w.Admin.AddAgent(t.Context(), name, api.Change{Owner: new("team")})) == nil && second(w.Admin.Suspend(t.Context(), name, "")) == nil {
					suspended[i]++
				}
			}
		})
	}
	for range 25 {
		time.Sleep(20 * time.Millisecond)
		d.fail()
		time.Sleep(10 * time.Millisecond)
		d.recover()
	}
	stop.Store(true)
	wait.Wait()

	events := map[string]int{}
	for _, e := range w.Events() {
		if e.Decision == "allow" {
			events[string(e.Action)]++
		}
	}
	list, err := w.Admin.Agents(t.Context(), api.Filter{State: "suspended"})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := w.Admin.Tokens(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	// An answer may have been lost to a disk that failed after the commit, but
	// nothing that was answered.
	if m, s := sum(minted), sum(suspended); m == 0 || s == 0 || len(tokens) < m || events["token.mint"] != len(tokens) || len(list) < s || events["agent.suspend"] != len(list) {
		t.Errorf("%d tokens were received, %d are on record and %d in the log; %d agents were suspended, %d are, and %d by the log",
			m, len(tokens), events["token.mint"], s, len(list), events["agent.suspend"])
	}
	// All that was under way when the disk came back may have failed just before.
	if _, err := w.Admin.AddAgent(t.Context(), "last", api.Change{Owner: new("team")}); err != nil {
		t.Error(err)
	}
	servertest.Want(t, "readyz", w.Readyz(), http.StatusOK, "")
	w.WantSound()
}

func sum(ns []int) (total int) {
	for _, n := range ns {
		total += n
	}
	return total
}
