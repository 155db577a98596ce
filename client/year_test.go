package client

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
)

const aDay = 24 * time.Hour

// A year is an authority with agents of each kind, an operator who does nothing but what the
// health asks for, and what happens to them.
type year struct {
	*site
	ctx      context.Context // of the agents
	running  sync.WaitGroup
	pins     []Fingerprint
	lists    int // that the root signs ahead
	agents   map[string]worker
	resource *runner // introspects
	relying  *relyingParty
	backups  []copied
	carried  time.Time        // when the last response was installed
	cleared  time.Time        // when room was made on the disk
	told     map[string]int   // by text of the reason
	seen     map[string]int   // reasons by ID
	failed   map[string]error // in the last hour
	mayFail  bool             // there is trouble
	signers  map[string]bool  // headers of tokens
}

// TestYear lets an authority run with agents of each kind. Keys rotate under a root that is
// kept elsewhere, the server is away, its clock is wrong, and its store is lost. Laptops sleep in
// the nights, for longer than their certificates live. An operator obeys the health. At the end every agent works. The short form has the lifetimes of a short
// year; the long form has 400 days, and takes half an hour.
func TestYear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes with the race detector")
	}
	days, each, lists, backup := 12, 1, 2, 3*aDay
	c := server.InitConfig{IssuerLifetime: 12 * aDay, RootLists: 1}
	settings := "rotate: {tokens: 2d, audit: 5d}\nkey_max_age: {registered: 5d, lasting: 6d, acme: 7d}\nhealth: {backup_age: 48h}\n"
	if os.Getenv("BREVET_LONG") != "" {
		days, each, lists, backup = 400, 10, 2, 14*aDay
		c = server.InitConfig{RootLists: 2}
		settings = "key_max_age: {registered: 90d, lasting: 120d, acme: 180d}\n"
	}
	settings += "profiles: {default: {lifetime: 12h, max_lifetime: 12h}}\n"
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)))
		y := newYear(t, t.TempDir(), c, settings, lists)
		y.populate(each)
		quarter := days / 4
		for day := range days {
			switch day {
			case quarter:
				y.away()
			case 2 * quarter:
				y.wrongClock()
			case 3 * quarter:
				y.lostStore(backup)
			}
			y.day()
		}
		y.end(days)
	})
}

func newYear(t *testing.T, disk string, c server.InitConfig, settings string, lists int) *year {
	ctx, cancel := context.WithCancel(t.Context())
	y := &year{site: newSite(t, disk, c, settings), ctx: ctx, lists: lists, agents: map[string]worker{}, relying: &relyingParty{issuers: map[string]bool{}}, signers: map[string]bool{}, told: map[string]int{}, seen: map[string]int{}, failed: map[string]error{}}
	pin, err := ParseFingerprint(y.made.RootFingerprint)
	check(t, err)
	y.pins = []Fingerprint{pin}
	y.start()
	t.Cleanup(func() {
		cancel()
		y.running.Wait()
		if y.operator != nil {
			y.stop()
		}
		if t.Failed() {
			t.Logf("the log of the server: %s", y.log.b.String())
		}
		time.Sleep(10 * time.Second) // crypto/tls gives a closing connection 5 s
	})
	roots, err := fetchRoots(ctx, y.at(200), y.pins)
	check(t, err)
	y.relying.roots, err = newTrust(roots, false)
	check(t, err)
	return y
}

// at returns the authority as a machine at an address sees it.
func (y *year) at(ip byte) endpoint { return endpoint{url: y.made.Advertise, dial: y.from(ip)} }

// populate registers agents of each kind.
func (y *year) populate(each int) {
	y.resource = &runner{year: y, name: "resource-server", end: y.at(1), dir: y.t.TempDir()}
	y.add("resource-server", y.resource, api.Change{Scopes: []string{"brevet:introspect"}})
	check(y.t, y.relying.load(y.ctx, y.resource.id))
	for i := range each {
		n := func(kind string) string { return fmt.Sprintf("%s-%d", kind, i) }
		ip := byte(10 * (i + 1))
		y.add(n("runner"), &runner{year: y, name: n("runner"), end: y.at(ip), dir: y.t.TempDir()}, api.Change{})
		y.add(n("lasting"), &runner{year: y, name: n("lasting"), end: y.at(ip + 1), dir: y.t.TempDir(), key: lastingKeyFile(y.t)}, api.Change{})
		y.add(n("laptop"), newLaptop(y, n("laptop"), ip+4), api.Change{})
		y.add(n("acme"), &acmeAgent{year: y, name: n("acme"), end: y.at(ip + 2)}, api.Change{})
		k := &keyClient{year: y, name: n("key"), end: y.at(ip + 3)}
		check(y.t, k.rekey(y.ctx))
		y.add(n("key"), k, api.Change{Scopes: []string{"a:b"}, Audiences: []string{"https://api.example"}})
		time.Sleep(7 * time.Minute)
	}
}

func (y *year) add(name string, w worker, c api.Change) {
	owner := "somebody"
	c.Owner, c.Keys = &owner, w.keys()
	in, err := y.operator.AddAgent(y.ctx, name, c)
	check(y.t, err)
	check(y.t, w.admit(y.ctx, in))
	y.agents[name] = w
}

// day lets a day go by. Every hour each agent works, and the operator looks at the health.
func (y *year) day() {
	for range 24 {
		time.Sleep(time.Hour)
		y.hour()
	}
}

func (y *year) hour() {
	if y.operator != nil {
		y.operate(y.ctx)
	}
	y.work()
}

// work has each agent work, and a relying party that gets its CRLs by one of them.
func (y *year) work() {
	clear(y.failed)
	if err := y.relying.load(y.ctx, y.resource.id); err != nil {
		y.complain("relying-party", err)
	}
	for _, name := range slices.Sorted(maps.Keys(y.agents)) {
		if err := y.agents[name].work(y.ctx); err != nil {
			y.complain(name, err)
		}
	}
}

func (y *year) complain(name string, err error) {
	y.failed[name] = err
	if !y.mayFail {
		y.t.Errorf("%s: %s: %v", y.now().Format(time.DateTime), name, err)
	}
}
