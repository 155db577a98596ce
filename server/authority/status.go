package authority

import (
	"context"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Status says how the authority is doing, without the counts that need a look at every
// credential.
func (a *Authority) Status(ctx context.Context) (api.Status, error) {
	st := api.Status{
		Version: a.Version, TrustDomain: string(a.File.TrustDomain), Advertise: a.Address.Current(), Started: a.started.UTC(),
		Events: a.Events(), RootCRLExpires: a.RootCRLEnds(), StoreBytes: storage.StatsOf(a.DB).Size, IssuerExpires: a.IssuerEnds(), Backup: a.LastBackup(ctx),
	}
	log, err := a.LogExtent(ctx)
	if err != nil {
		return st, err
	}
	st.Log = api.LogExtent{Segments: log.Segments, Sealed: log.Sealed, Kept: log.Kept, Since: log.Since}
	st.SetReasons(a.Health(ctx))
	st.Sinks = a.sinks(ctx)
	st.Former = a.former(ctx)
	if c := a.Own.Current(); c != nil {
		st.ServerExpires = c.Leaf.NotAfter
	}
	err = a.DB.View(ctx, func(tx storage.Tx) error {
		roots, err := publishedRoots(tx)
		for _, root := range roots {
			st.RootFingerprint = append(st.RootFingerprint, fingerprint(root.Authority))
			if root.Key.Purpose == keys.HTTPSRoot {
				st.HTTPSRoots = append(st.HTTPSRoots, fingerprint(root.Authority))
			}
			if st.RootExpires.IsZero() || root.NotAfter.Before(st.RootExpires) {
				st.RootExpires = root.NotAfter
			}
		}
		if err != nil {
			return err
		}
		st.Announced, err = announcedKeys(tx)
		return err
	})
	return st, err
}

// announcedKeys returns the keys that are published and sign later.
func announcedKeys(tx storage.Tx) (list []api.Announced, err error) {
	for _, spec := range Purposes() {
		next, err := nextKeys(tx, spec.Purpose)
		if err != nil {
			return nil, err
		}
		for _, k := range next {
			if from, announced := spec.AnnouncedUntil(k); announced {
				list = append(list, api.Announced{ID: k.ID, Purpose: string(k.Purpose), SignsFrom: from})
			}
		}
	}
	return list, nil
}

// former tells of the former addresses that something needs. Without an answer from the
// store, which is a reason of the health, it leaves out when CA certificates end.
func (a *Authority) former(ctx context.Context) (list []api.FormerAddress) {
	now := a.Clock.Now()
	at := a.Address.List()
	for _, f := range at.Former(now) {
		one := api.FormerAddress{URL: f.URL, NeededUntil: f.Ends, Published: f.Base, PublishedUntil: f.Covers}
		if date, waiting := at.Switch(now); waiting && f.URL == at.Issuer(now) {
			one.IssuesUntil = date
		}
		if f.Base == a.BaseURL() {
			one.Published, one.PublishedUntil = "", time.Time{}
		} else if named, err := a.Named(ctx, f.Base); err == nil {
			for _, c := range named {
				if c.Ends.After(one.PublishedUntil) {
					one.PublishedUntil = c.Ends
				}
			}
		}
		list = append(list, one)
	}
	return list
}

// Events returns the size of the audit log.
func (a *Authority) Events() int64 {
	var n int64
	a.DB.View(context.Background(), func(tx storage.Tx) (err error) {
		n, err = audit.Size(tx)
		return err
	})
	return n
}

// LogExtent returns where the events of the audit log are.
func (a *Authority) LogExtent(ctx context.Context) (e audit.Extent, err error) {
	err = a.DB.View(ctx, func(tx storage.Tx) (err error) {
		e, err = audit.ExtentOf(tx)
		return err
	})
	return e, err
}
