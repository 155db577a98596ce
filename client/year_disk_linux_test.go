package client

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// smallDisk makes a disk for a site.
func smallDisk(t *testing.T) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		peer.Missing(t, "this test mounts a small disk, for which it must be root: "+err.Error())
	}
	t.Cleanup(func() { check(t, syscall.Unmount(dir, 0)) })
	return dir
}

// TestDiskFillsInTheYear: another program takes the room on the disk of the authority. The
// health warns, and an operator makes room before anybody notices. The next time all of it
// goes in a night. Agents go on by what the store has ahead, until that is used up, too. At
// noon somebody makes room, and all agents are back within a minute, as the refusals say,
// also the laptop, whose certificate has expired.
func TestDiskFillsInTheYear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes with the race detector")
	}
	disk := smallDisk(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)))
		y := newYear(t, disk, server.InitConfig{RootLists: 2}, "health: {backup_age: 30d}\nprofiles: {default: {lifetime: 12h, max_lifetime: 12h}}\n", 2)
		y.populate(1)
		time.Sleep(6 * time.Hour)

		y.fill(2 << 20)
		for range 14 {
			time.Sleep(time.Hour)
			y.hour()
		}
		if y.seen["disk-low"] != 1 {
			t.Errorf("nobody was told of a disk that is nearly full: %v", y.seen)
		}

		y.fill(0)
		night := func() {
			for range 8 {
				time.Sleep(time.Hour)
				y.work()
			}
		}
		night()
		y.mayFail = true
		if refused := y.exhaust(); !strings.Contains(refused.Error(), "the disk is full") {
			t.Fatal(refused)
		}
		night()
		for _, name := range []string{"acme-0", "key-0", "laptop-0"} {
			if y.failed[name] == nil {
				t.Errorf("%s works on a full disk", name)
			}
		}
		y.operate(y.ctx)
		if y.seen["disk-full"] != 1 {
			t.Errorf("nobody was told of the full disk: %v", y.seen)
		}
		time.Sleep(time.Minute) // as the refusals said
		y.back()
		time.Sleep(time.Hour)
		y.hour()
		status, err := y.operator.Status(y.ctx)
		check(t, err)
		if len(status.Reasons) > 0 {
			t.Errorf("at the end: %v", status.Reasons)
		}
		_, err = y.operator.VerifyLog(y.ctx, "")
		check(t, err)
	})
}

// fill has another program take all the room but some bytes.
func (y *year) fill(but int64) {
	var disk syscall.Statfs_t
	check(y.t, syscall.Statfs(y.dir, &disk))
	file, err := os.Create(y.ballast())
	check(y.t, err)
	_, err = file.Write(make([]byte, int64(disk.Bavail)*disk.Bsize-but))
	check(y.t, errors.Join(err, file.Close()))
}

// exhaust has a script change the labels of an agent, which goes into the audit log, until the
// store takes no more, and returns what it said then.
func (y *year) exhaust() error {
	for i := range 10_000 {
		labels := map[string]string{}
		for label := range 64 {
			labels[fmt.Sprintf("label-%02d", label)] = strings.Repeat(fmt.Sprint(i%10), 256)
		}
		if _, err := y.operator.SetAgent(y.ctx, "resource-server", api.Change{Labels: labels}); err != nil {
			y.t.Logf("after %d changes: %v", i, err)
			return err
		}
	}
	return errors.New("the store takes any number of events on a small disk")
}
