package authority

import (
	"context"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Status says how the authority is doing, without the counts that need a look at every
// credential.
func (a *Authority) Status(ctx context.Context) (api.Status, error) {
	st := api.Status{
		Version: a.Version, TrustDomain: string(a.File.TrustDomain), Advertise: a.File.Advertise, Started: a.started.UTC(),
		Events: a.Events(), RootCRLExpires: a.RootCRLEnds(), StoreBytes: storage.StatsOf(a.DB).Size, IssuerExpires: a.IssuerEnds(), Backup: a.LastBackup(ctx),
	}
	st.SetReasons(a.Health(ctx))
	st.Sinks = a.sinks(ctx)
	if c := a.Own.Current(); c != nil {
		st.ServerExpires = c.Leaf.NotAfter
	}
	err := a.DB.View(ctx, func(tx storage.Tx) error {
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
		return err
	})
	return st, err
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
