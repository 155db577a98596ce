package authority

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Problems lists what keeps the authority from doing its work.
func (a *Authority) Problems(ctx context.Context) []string {
	var found []string
	now := a.Clock.Now()
	if err := a.DB.View(ctx, func(storage.Tx) error { return nil }); err != nil {
		found = append(found, "the store cannot be read: "+err.Error())
	}
	if err := storage.Trouble(a.DB); err != nil {
		found = append(found, "the store cannot be written: "+err.Error())
	}
	if err := a.Clock.Check(); err != nil {
		found = append(found, err.Error())
	}
	if !a.listsValid() {
		found = append(found, "the CRL is not current")
	}
	if end := a.CA.Issuer().NotAfter; !now.Before(end) {
		found = append(found, fmt.Sprintf("the issuer expired at %s: run brevet key rotate issuer", end.Format(time.RFC3339)))
	}
	if https := a.CA.HTTPSIssuer(); https != a.CA.Issuer() && !now.Before(https.NotAfter) {
		found = append(found, fmt.Sprintf("the https-issuer expired at %s: run brevet key rotate https-issuer", https.NotAfter.Format(time.RFC3339)))
	}
	return append(append(found, a.expiredProfiles(now)...), a.stopped(ctx)...)
}

// Status says how the authority is doing, without the counts that need a look at every
// credential.
func (a *Authority) Status(ctx context.Context) (api.Status, error) {
	st := api.Status{
		Version: a.Version, TrustDomain: string(a.File.TrustDomain), Advertise: a.File.Advertise, Started: a.started.UTC(),
		Problems: a.Problems(ctx), Warnings: a.Warnings(), Events: a.Events(), RootCRLExpires: a.RootCRLEnds(), StoreBytes: storage.StatsOf(a.DB).Size, IssuerExpires: a.IssuerEnds(),
	}
	st.Problems = append(st.Problems, a.unconfirmed(ctx)...)
	st.Healthy = len(st.Problems) == 0
	if c := a.Own.Current(); c != nil {
		st.ServerExpires = c.Leaf.NotAfter
	}
	err := a.DB.View(ctx, func(tx storage.Tx) error {
		roots, _, err := hierarchies(tx)
		for _, root := range roots {
			st.RootFingerprint = append(st.RootFingerprint, fingerprint(root))
			if st.RootExpires.IsZero() || root.NotAfter.Before(st.RootExpires) {
				st.RootExpires = root.NotAfter
			}
		}
		return errors.Join(err, a.counts(tx, &st))
	})
	return st, err
}

// unconfirmed tells of a restore that forgot what was ended since the backup. It is a
// problem for operators, not for those who ask whether the server answers.
func (a *Authority) unconfirmed(ctx context.Context) []string {
	var last agents.Restore
	err := a.DB.View(ctx, func(tx storage.Tx) (err error) {
		last, err = agents.LastRestore(tx)
		return err
	})
	if err != nil || !last.Unknown {
		return nil // Problems has the error
	}
	return []string{fmt.Sprintf("the store was restored at %s and nobody knows what was suspended or revoked since the backup: end again what must stay ended, then run brevet restore --confirm", last.At.UTC().Format(time.RFC3339))}
}

// IssuerEnds returns when the first of the active issuers ends. It leaves out
// issuers that no profile needs.
func (a *Authority) IssuerEnds() time.Time {
	end := a.CA.Issuer().NotAfter
	if https := a.CA.HTTPSIssuer().NotAfter; https.Before(end) {
		end = https
	}
	for _, name := range a.special() {
		if i, err := a.CA.IssuerOf(name); err == nil && i.NotAfter.Before(end) {
			end = i.NotAfter
		}
	}
	return end
}

func (a *Authority) counts(tx storage.Tx, st *api.Status) error {
	many, err := agents.ManyCompromised(tx, a.Policy.Quotas)
	if err != nil {
		return err
	}
	for _, n := range many {
		st.Warnings = append(st.Warnings, fmt.Sprintf("many keys of agent %s were revoked as compromised; it gets no certificates until you run brevet agent reenroll %s", n, n))
	}
	st.Agents = map[string]int{}
	for agent, err := range agents.All(tx) {
		if err != nil {
			return err
		}
		if agent.Name != agents.Authority {
			st.Agents[string(agent.State)]++
		}
	}
	return nil
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
