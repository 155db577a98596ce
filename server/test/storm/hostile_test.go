package storm_test

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

func parseKey(der []byte) crypto.PrivateKey {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		panic(err)
	}
	return key
}

// crowd are healthy agents, each of which asks for something a few times a second.
type crowd struct {
	agents []*servertest.Agent

	mu      sync.Mutex
	took    []time.Duration
	refused map[string]int
}

// every is how often a healthy agent asks, and healthy how many there are.
const (
	every   = 250 * time.Millisecond
	healthy = 50
)

// work has the agents ask until stop is closed, and returns the times that the
// answers took, the shortest first.
func (c *crowd) work(stop <-chan struct{}) []time.Duration {
	c.took = nil
	var wait sync.WaitGroup
	for i, a := range c.agents {
		wait.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			time.Sleep(every * time.Duration(i) / time.Duration(len(c.agents)))
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				c.ask(a, n+i)
			}
		})
	}
	wait.Wait()
	slices.Sort(c.took)
	return c.took
}

func (c *crowd) ask(a *servertest.Agent, n int) {
	begun := time.Now()
	var got servertest.Answer
	if n%4 == 0 {
		got = a.Renew()
	} else {
		got = a.Token(url.Values{"grant_type": {"client_credentials"}})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, time.Since(begun))
	if got.Status != http.StatusOK {
		c.refused[fmt.Sprintf("%s: %d %s", a.Name, got.Status, got.Body)]++
	}
}

func p99(took []time.Duration) time.Duration { return took[len(took)*99/100] }

// TestHostileNeighbours: one hostile address and one hostile agent send what they can beside
// 50 healthy agents. None of those is refused, and what the attackers make the store
// grow by lies within the quotas. The long form measures, too: the healthy agents wait at
// most twice as long as beside the same number of harmless clients, and the memory of the
// server stays below 96 MB.
func TestHostileNeighbours(t *testing.T) {
	if _, err := exec.LookPath("chrt"); err != nil && !short {
		peer.Missing(t, "chrt lowers the priority of the attackers")
	}
	const events = 3000
	length := 60 * time.Second
	if short {
		length = 2 * time.Second
	}
	w := servertest.New(t)
	w.Configure(fmt.Sprintf("limits: {certificates: 1000, tokens: 2000, orders: 100, events: %d}\n", events))
	w.Stop()
	t.Setenv("GOGC", "400") // as brevet serve sets it
	p := servertest.Spawn(t, w.Dir)
	t.Cleanup(p.Kill)
	if _, err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	w.Admin = api.Dial(w.Dir)
	given := func() agents.Change {
		return agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}, TTL: new(time.Hour)}
	}
	c := &crowd{refused: map[string]int{}}
	for i := range healthy {
		c.agents = append(c.agents, w.Enroll(fmt.Sprintf("healthy-%d", i), given()))
	}
	evil := w.Enroll("evil", given())
	key, err := x509.MarshalPKCS8PrivateKey(evil.Key)
	if err != nil {
		t.Fatal(err)
	}
	r := raid{URL: w.URL, Cert: evil.Cert.Certificate, Key: key, CSR: evil.CSR(nil), About: "healthy-1", For: length}
	run := func(hostile bool) ([]time.Duration, map[int]int) {
		r.Hostile = hostile
		stop, ended := make(chan struct{}), make(chan map[int]int, 1)
		go func() {
			defer close(stop)
			if short {
				ended <- r.run()
				return
			}
			statuses, err := r.elsewhere()
			if err != nil {
				t.Error(err)
			}
			ended <- statuses
		}()
		took := c.work(stop)
		return took, <-ended
	}

	quiet, harmless := run(false)
	before := w.Events()
	size := fileSize(t, w)
	peak := watchMemory(t, p)
	took, statuses := run(true)
	most := peak()
	after := w.Events()

	t.Logf("beside harmless clients (%v): %d requests of healthy agents, p99 %s; beside hostile ones (%v): %d, p99 %s; at most %d MB; the store grew by %d kB",
		harmless, len(quiet), p99(quiet), statuses, len(took), p99(took), most>>10, (fileSize(t, w)-size)>>10)
	for what, n := range c.refused {
		t.Errorf("a healthy agent was refused, %d times: %s", n, what)
	}
	byOthers := 0
	for _, e := range after[len(before):] {
		if e.Subject == "evil" || e.Decision != "allow" {
			byOthers++
		}
	}
	if byOthers > events+200 {
		t.Errorf("the attackers wrote %d events, and the quota is %d", byOthers, events)
	}
	if statuses[http.StatusTooManyRequests] == 0 {
		t.Errorf("no attacker was told to wait: %v", statuses)
	}
	if short {
		return
	}
	if p99(took) > 2*p99(quiet) {
		t.Errorf("healthy agents waited %s (p99) beside hostile clients and %s beside harmless ones: more than twice as long", p99(took), p99(quiet))
	}
	if most > 96<<10 {
		t.Errorf("the server took %d MB", most>>10)
	}
}

func fileSize(t *testing.T, w *servertest.World) int64 {
	t.Helper()
	info, err := os.Stat(w.File("brevet.db"))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// watchMemory looks at the memory of a process until the function that it returns is
// called, which returns the most that there was, in kB.
func watchMemory(t *testing.T, p *servertest.Process) func() int {
	t.Helper()
	stop, most := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				most <- n
				return
			case <-time.After(100 * time.Millisecond):
				n = max(n, residentKB(t, p))
			}
		}
	}()
	return func() int { close(stop); return <-most }
}
