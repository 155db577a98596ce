package authority

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

// The disk is low when there is less room than this, or less than a tenth of it; critically
// low at an eighth of that. Small disks and tmpfs are sized for their use.
const diskNotice = 256 << 20

const mendStore = "restart the server; if that does not help, restore a backup with brevet restore FILE"

// storeReasons are about the store and its disk.
func (a *Authority) storeReasons(ctx context.Context) (found []api.Reason) {
	room := "make room on the disk of the directory; nothing needs restarting"
	if err := a.DB.View(ctx, func(storage.Tx) error { return nil }); err != nil && ctx.Err() == nil {
		found = append(found, stops(critical(storeUnreadable, mendStore, "the store cannot be read: %v", err)))
	}
	if err := storage.Trouble(a.DB); errors.Is(err, storage.ErrFull) {
		found = append(found, stops(critical(diskFull, room, "the store cannot be written: %v", err)))
	} else if err != nil {
		found = append(found, stops(critical(storeUnwritable, "mend the disk, then restart the server", "the store cannot be written: %v", err)))
	}
	return append(found, roomReasons(storage.StatsOf(a.DB), room)...)
}

// roomReasons are about the room on the disk and in the reserve.
func roomReasons(s storage.Stats, room string) (found []api.Reason) {
	switch low := min(diskNotice, s.DiskSize/10); {
	case s.DiskSize == 0: // the file system does not say
	case s.DiskFree < low/8:
		found = append(found, critical(diskLow, room, "the disk has only %s free", megabytes(s.DiskFree)))
	case s.DiskFree < low:
		found = append(found, warning(diskLow, room, "the disk has only %s free", megabytes(s.DiskFree)))
	}
	switch {
	case s.Free < s.Reserve/2:
		found = append(found, critical(reserveLow, room, "the reserve for revocations on a full disk is used up by half or more: %s are left", megabytes(s.Free)))
	case s.Free < s.Reserve:
		found = append(found, warning(reserveLow, room, "the reserve for revocations on a full disk is not whole: %s are left", megabytes(s.Free)))
	}
	return found
}

// days returns a time in days, or shorter ones in hours.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// doubtNotice is how far ahead the clock may be before operators hear of it. A server that
// was stopped for an hour looks the same as a clock that was set ahead by one.
const doubtNotice = 24 * time.Hour

func (a *Authority) clockReasons() []api.Reason {
	if err := a.Clock.Check(); err != nil {
		return []api.Reason{stops(critical(clockBack, "set the clock of the machine right", "%v", err))}
	}
	if doubt := a.Clock.Doubt(); doubt > doubtNotice {
		return []api.Reason{warning(clockDoubt, "compare the clock of the machine with another; if it is right, this ends by itself within days",
			"the clock may be ahead by %s: it was set ahead, or the server was stopped or asleep for that long", days(doubt))}
	}
	return nil
}

// crlReasons are about the lists of issuers, which are published at half of their lifetime.
func (a *Authority) crlReasons() []api.Reason {
	const mend = "run brevet crl publish; the server tries again every ten seconds, and its log says what fails"
	crls, now := a.CRL.Current(), a.Clock.Shown()
	switch {
	case !a.listsValid():
		return []api.Reason{stops(critical(crlLate, mend, "the CRL is not current"))}
	case now.Sub(crls[0].Regular) > crl.Interval+time.Minute:
		return []api.Reason{warning(crlLate, mend, "the CRL was not renewed in time: the current one ends at %s", crls[0].NextUpdate.UTC().Format(time.RFC3339))}
	}
	return nil
}

// backupReasons are about the age of the last backup. A new authority has some days to make
// its first one.
func (a *Authority) backupReasons(tx storage.Tx, now time.Time) ([]api.Reason, error) {
	const mend = "run brevet backup FILE"
	last, err := lastBackup(tx)
	if err != nil || a.File.Health.BackupAge == 0 {
		return nil, err
	}
	if since := last.Taken; !since.IsZero() {
		if now.Sub(since) > a.File.Health.BackupAge {
			return []api.Reason{warning(backupOld, mend, "the last backup was made at %s", since.UTC().Format(time.RFC3339))}, nil
		}
		return nil, nil
	}
	own, err := agents.Get(tx, agents.Authority)
	if err == nil && now.Sub(own.Created) > a.File.Health.BackupAge {
		return []api.Reason{warning(backupOld, mend, "no backup is on record, and the authority has run since %s", own.Created.UTC().Format(time.RFC3339))}, nil
	}
	return nil, err
}

// restoreReasons tell of a restore that forgot what was ended since the backup. Operators
// must act at once, but the authority works.
func restoreReasons(tx storage.Tx) ([]api.Reason, error) {
	last, err := agents.LastRestore(tx)
	if err != nil || !last.Unknown {
		return nil, err
	}
	return []api.Reason{critical(restorePending, "end again what must stay ended, then run brevet restore --confirm",
		"the store was restored at %s and nobody knows what was suspended or revoked since the backup", last.At.UTC().Format(time.RFC3339))}, nil
}
