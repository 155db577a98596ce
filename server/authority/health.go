package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

// The identifiers of reasons. Operators' rules name them, so none is renamed.
const (
	storeUnreadable   = "store-unreadable"
	storeUnwritable   = "store-unwritable"
	diskFull          = "disk-full"
	diskLow           = "disk-low"
	reserveLow        = "reserve-low"
	clockBack         = "clock-back"
	clockDoubt        = "clock-doubt"
	crlLate           = "crl-late"
	issuerEnds        = "issuer-ends"
	rootEnds          = "root-ends"
	rootCRLEnds       = "root-crl-ends"
	rootCRLLate       = "root-crl-late"
	issuerUnlisted    = "root-crl-lacks-issuer"
	httpsEnds         = "https-certificate-ends"
	keyCompromised    = "key-compromised"
	keyMissing        = "key-missing"
	keyUnsealed       = "key-unsealed"
	keyTakeoverLate   = "key-takeover-late"
	rotationFailed    = "key-rotation-failed"
	profileWithout    = "profile-without-issuer"
	backupOld         = "backup-old"
	restorePending    = "restore-unconfirmed"
	quotaNear         = "quota-near"
	agentKeysRevealed = "agent-keys-compromised"
	agentKeyOld       = "agent-key-old"
	auditUncut        = "audit-log-uncut"
	auditSinkLate     = "audit-sink-late"
	advertiseDiffers  = "advertise-differs"
	issuerChanges     = "token-issuer-changes"
)

// ReasonIDs returns the identifiers of all reasons there can be.
func ReasonIDs() []string {
	return []string{storeUnreadable, storeUnwritable, diskFull, diskLow, reserveLow, clockBack, clockDoubt, crlLate, issuerEnds, rootEnds, rootCRLEnds, rootCRLLate, issuerUnlisted,
		httpsEnds, keyCompromised, keyMissing, keyUnsealed, keyTakeoverLate, rotationFailed, profileWithout, backupOld, restorePending, quotaNear, agentKeysRevealed, agentKeyOld, auditUncut, auditSinkLate, advertiseDiffers, issuerChanges}
}

// Health returns the reasons why the authority is not well, the worst first. This is the
// only place that computes them; the status, the metrics, /readyz, the log and the audit log
// all show them.
func (a *Authority) Health(ctx context.Context) []api.Reason {
	slow := a.slowReasons(ctx)
	a.slow.Store(&slow)
	return sorted(slices.Concat(a.quickReasons(ctx), slow))
}

// HealthLately is Health, but it may take the reasons that need a look at every agent or key
// file from the last Health, which is a minute old at most while the server runs.
func (a *Authority) HealthLately(ctx context.Context) []api.Reason {
	slow := a.slow.Load()
	if slow == nil {
		return a.Health(ctx)
	}
	return sorted(slices.Concat(a.quickReasons(ctx), *slow))
}

// Ready returns the level, and whether the authority can issue and answer. Strangers may ask
// often, so it takes the reasons that need a look at every agent or key file from the last
// [Authority.Health].
func (a *Authority) Ready(ctx context.Context) (level api.Level, ready bool) {
	all := a.quickReasons(ctx)
	if slow := a.slow.Load(); slow != nil {
		all = append(all, *slow...)
	}
	return api.Worst(all), !slices.ContainsFunc(all, func(r api.Reason) bool { return r.Stops })
}

func sorted(all []api.Reason) []api.Reason {
	slices.SortStableFunc(all, func(a, b api.Reason) int { return b.Level.Rank() - a.Level.Rank() })
	return all
}

// quickReasons are those that take a few reads of the store.
func (a *Authority) quickReasons(ctx context.Context) []api.Reason {
	now := a.Clock.Now()
	found := slices.Concat(a.storeReasons(ctx), a.clockReasons(), a.crlReasons(), endReasons(a.issuersEnd(), now), a.profileReasons(), a.httpsReasons(), a.rootCRLReasons(now), a.cutReasons(), a.sinkReasons(ctx, now), a.addressReasons(now))
	a.DB.View(ctx, func(tx storage.Tx) error {
		backup, err1 := a.backupReasons(tx, now)
		restore, err2 := restoreReasons(tx)
		compromised, err3 := a.compromisedReasons(tx)
		found = slices.Concat(found, backup, restore, compromised, a.rotationReasons(tx), damaged(err1, err2, err3))
		return nil // storeReasons tells of a store that cannot be read at all
	})
	return found
}

// damaged tells of records that cannot be read. The health does not know what they
// would have said, and must not be better without them.
func damaged(errs ...error) []api.Reason {
	if err := errors.Join(errs...); err != nil {
		return []api.Reason{critical(storeUnreadable, mendStore, "a record in the store cannot be read: %v", err)}
	}
	return nil
}

// slowReasons are those that need a look at every agent and every key file, or that take
// months to come.
func (a *Authority) slowReasons(ctx context.Context) []api.Reason {
	var found []api.Reason
	a.DB.View(ctx, func(tx storage.Tx) error {
		quotas, err1 := a.quotaReasons(tx)
		revealed, err2 := a.agentKeyReasons(tx)
		ages, err3 := a.agentKeyAges(tx, a.Clock.Now())
		found = slices.Concat(quotas, revealed, ages, damaged(err1, err2, err3))
		return nil
	})
	roots, err := a.rootsEnd(ctx)
	return slices.Concat(found, a.keyFileReasons(ctx), endReasons(roots, a.Clock.Now()), damaged(err))
}

func warning(id, mend, text string, args ...any) api.Reason {
	return api.Reason{ID: id, Level: api.Warning, Text: fmt.Sprintf(text, args...), Mend: mend}
}

func critical(id, mend, text string, args ...any) api.Reason {
	return api.Reason{ID: id, Level: api.Critical, Text: fmt.Sprintf(text, args...), Mend: mend}
}

// stops returns r as a reason for which the authority cannot issue or answer.
func stops(r api.Reason) api.Reason {
	r.Stops = true
	return r
}

// A notice says how long before the end of something operators hear of it: a part of its
// lifetime, but not more than a time.
type notice struct {
	warning, critical time.Duration
}

// level returns the level of what lives from begin to end.
func (n notice) level(begin, end, now time.Time) api.Level {
	life, left := end.Sub(begin), end.Sub(now)
	switch {
	case left < min(n.critical, life/10):
		return api.Critical
	case left < min(n.warning, life/3):
		return api.Warning
	}
	return api.OK
}

func day(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// when says when something ends or ended.
func when(end, now time.Time) string {
	if now.Before(end) {
		return "ends at " + end.UTC().Format(time.RFC3339)
	}
	return "ended at " + end.UTC().Format(time.RFC3339)
}
