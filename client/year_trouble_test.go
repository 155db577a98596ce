package client

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/server"
)

// away: the server is down for eight hours. All are back within one retry interval.
func (y *year) away() {
	y.mayFail = true
	y.stop()
	for range 8 {
		time.Sleep(time.Hour)
		y.hour()
	}
	y.start()
	y.back()
}

// back has all agents work again.
func (y *year) back() {
	time.Sleep(maxRetry + spread)
	y.mayFail = false
	y.hour()
}

// wrongClock: the server's clock is ahead by three days for two hours, and then right again.
func (y *year) wrongClock() {
	y.mayFail = true
	y.skew.Store(int64(3 * aDay))
	time.Sleep(2 * time.Hour)
	y.skew.Store(0)
	time.Sleep(2 * time.Minute)
	y.operate(y.ctx)
	y.back()
}

// lostStore: the store is lost, and a backup of some age is restored. The operator enrolls
// again whom the restore names and who does not come back alone.
func (y *year) lostStore(age time.Duration) {
	y.mayFail = true
	y.stop()
	var from copied
	for _, b := range y.backups {
		if y.now().Sub(b.at) >= age || from.dir == "" {
			from = b
		}
	}
	y.t.Logf("%s: restoring a backup of %s", y.now(), from.at)
	check(y.t, os.Remove(filepath.Join(y.dir, store)))
	check(y.t, copyKeys(y.dir, from.dir))
	restored, err := server.Restore(y.ctx, server.RestoreConfig{Dir: y.dir, File: filepath.Join(from.dir, store)}, y.now())
	check(y.t, err)
	time.Sleep(time.Minute)
	y.start()
	y.operate(y.ctx)
	for name := range y.agents {
		if !slices.Contains(restored.Reenroll, name) {
			y.t.Errorf("the restore does not name %s", name)
		}
	}
	for _, name := range restored.Reenroll {
		check(y.t, y.register(y.ctx, name))
		in, err := y.operator.Reenroll(y.ctx, name)
		check(y.t, err)
		check(y.t, y.agents[name].admit(y.ctx, in))
	}
	time.Sleep(look) // client run looks into its directory
	y.back()
}

// end: what had to happen has happened, and all is well.
func (y *year) end(days int) {
	for _, id := range []string{"backup-old", "root-crl-ends", "agent-key-old", "clock-back", "restore-unconfirmed"} {
		if y.seen[id] == 0 {
			y.t.Errorf("nobody was told of %s", id)
		}
	}
	if len(y.relying.issuers) < 2 || len(y.signers) < 4 {
		y.t.Errorf("%d issuers and %d token keys have signed", len(y.relying.issuers), len(y.signers))
	}
	y.lastMorning()
	for name, err := range y.failed {
		y.t.Errorf("at the end %s does not work: %v", name, err)
	}
	status, err := y.operator.Status(y.ctx)
	check(y.t, err)
	y.t.Logf("after %d days: %v, %d events, %d bytes; acts: %v", days, status.Reasons, status.Events, status.StoreBytes, y.seen)
}
