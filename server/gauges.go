package server

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/server/operator"
	"github.com/brevet-ca/brevet/server/telemetry"
	"github.com/brevet-ca/brevet/storage"
)

// A census has the numbers that take a look at every credential. It looks again at most once
// a minute, and less often if that takes long, whoever reads the metrics.
type census struct {
	count func(context.Context) (operator.Totals, error)

	mu     sync.Mutex
	again  time.Time
	totals operator.Totals
}

func (c *census) get(ctx context.Context) (operator.Totals, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begin := time.Now()
	if begin.Before(c.again) {
		return c.totals, nil
	}
	totals, err := c.count(ctx)
	if err == nil {
		c.totals, c.again = totals, time.Now().Add(max(time.Minute, 20*time.Since(begin)))
	}
	return totals, err
}

// gauges writes what /metrics has besides counts of requests and decisions.
type gauges struct {
	*Server
	census census
}

func (g *gauges) write(ctx context.Context, p *telemetry.Page) {
	p.Gauge("brevet_build_info", "The version of brevet and of Go.", telemetry.Value(1, "version", g.Version, "goversion", runtime.Version()))
	g.healthOf(ctx, p)
	g.lists(p)
	g.store(ctx, p)
	addresses, agents := g.gate.Limited()
	p.Gauge("brevet_limited_senders", "Senders whose requests are refused because too many were, by kind: addresses with their networks, and agents.",
		telemetry.Value(float64(addresses), "kind", "address"), telemetry.Value(float64(agents), "kind", "agent"))
	totals, err := g.census.get(ctx)
	if err != nil {
		g.Log.Error("the credentials could not be counted for the metrics", "error", err)
		return
	}
	p.Gauge("brevet_agents", "Registered agents, by state.", byKey("state", totals.Agents)...)
	p.Gauge("brevet_credentials_valid", "Credentials that can be used, by kind. They are counted once a minute at most.", byKey("kind", map[string]int{
		"certificate": totals.Certificates, "token": totals.Tokens, "acme_account": totals.ACMEAccounts})...)
	p.Gauge("brevet_acme_orders", "ACME orders on record, by state.", byKey("state", totals.Orders)...)
}

// byKey returns a sample for each entry.
func byKey(label string, m map[string]int) (samples []telemetry.Sample) {
	for key, n := range m {
		samples = append(samples, telemetry.Value(float64(n), label, key))
	}
	slices.SortFunc(samples, func(a, b telemetry.Sample) int { return slices.Compare(a.Labels, b.Labels) })
	return samples
}

// healthOf writes a level for each reason there can be, and the times that they are about.
func (g *gauges) healthOf(ctx context.Context, p *telemetry.Page) {
	levels := map[string]api.Level{}
	for _, r := range slices.Backward(g.authority.HealthLately(ctx)) { // the worst comes last
		levels[r.ID] = r.Level
	}
	var samples, ends []telemetry.Sample
	for _, id := range authority.ReasonIDs() {
		samples = append(samples, telemetry.Value(float64(levels[id].Rank()), "reason", id))
	}
	p.Gauge("brevet_health_level", "How bad each reason is for which the authority may not be well: 0 ok, 1 warning, 2 critical.", samples...)
	for what, end := range g.authority.Ends(ctx) {
		ends = append(ends, telemetry.At(end, "what", what))
	}
	slices.SortFunc(ends, func(a, b telemetry.Sample) int { return slices.Compare(a.Labels, b.Labels) })
	p.Gauge("brevet_end_timestamp_seconds", "When the first of each kind ends, in seconds since the Unix epoch.", ends...)
	if taken := g.authority.LastBackup(ctx); !taken.IsZero() {
		p.Gauge("brevet_backup_timestamp_seconds", "When the last backup was made, in seconds since the Unix epoch.", telemetry.At(taken))
		p.Gauge("brevet_backup_age_seconds", "How old the last backup is.", telemetry.Value(g.clock.Now().Sub(taken).Seconds()))
	}
}

// lists writes what is known of each issuer's published list.
func (g *gauges) lists(p *telemetry.Page) {
	var number, size, entries, age, published, next []telemetry.Sample
	now := g.clock.Shown()
	for _, l := range g.authority.CRL.Current() {
		of := func(v float64) telemetry.Sample { return telemetry.Value(v, "issuer", l.Issuer) }
		number, size, entries = append(number, of(float64(l.Number))), append(size, of(float64(len(l.DER)))), append(entries, of(float64(l.Entries)))
		age = append(age, of(now.Sub(l.ThisUpdate).Seconds()))
		published, next = append(published, telemetry.At(l.ThisUpdate, "issuer", l.Issuer)), append(next, telemetry.At(l.NextUpdate, "issuer", l.Issuer))
	}
	p.Gauge("brevet_crl_number", "The number of the published CRL, by issuer.", number...)
	p.Gauge("brevet_crl_size_bytes", "The size of the published CRL, by issuer.", size...)
	p.Gauge("brevet_crl_entries", "Revoked certificates on the published CRL, by issuer.", entries...)
	p.Gauge("brevet_crl_age_seconds", "How long ago the published CRL is dated, by issuer.", age...)
	p.Gauge("brevet_crl_published_timestamp_seconds", "The date of the published CRL (thisUpdate), in seconds since the Unix epoch, by issuer.", published...)
	p.Gauge("brevet_crl_next_update_timestamp_seconds", "When the published CRL ends (nextUpdate), in seconds since the Unix epoch, by issuer.", next...)
}

// store writes what is known of the store and of the audit log in it.
func (g *gauges) store(ctx context.Context, p *telemetry.Page) {
	st := storage.StatsOf(g.db)
	p.Gauge("brevet_store_size_bytes", "The size of the store.", telemetry.Value(float64(st.Size)))
	p.Gauge("brevet_store_free_bytes", "Unused room in the store, the reserve included.", telemetry.Value(float64(st.Free)))
	p.Gauge("brevet_store_reserve_bytes", "The room that is kept for revocations on a full disk.", telemetry.Value(float64(st.Reserve)))
	if st.DiskSize > 0 {
		p.Gauge("brevet_disk_size_bytes", "The size of the disk of the store.", telemetry.Value(float64(st.DiskSize)))
		p.Gauge("brevet_disk_free_bytes", "What is free on the disk of the store.", telemetry.Value(float64(st.DiskFree)))
	}
	p.Counter("brevet_store_transactions_total", "Transactions that wrote; several may share a commit.", telemetry.Value(float64(st.Transactions)))
	p.Summary("brevet_store_commit_seconds", "Commits of the store, and how long they took.", st.Commits, st.CommitTime)
	events := g.authority.Events()
	p.Gauge("brevet_audit_events", "Events in the audit log.", telemetry.Value(float64(events)))
	p.Gauge("brevet_audit_lag_events", "Events that no signed checkpoint covers yet. One is signed each minute.", telemetry.Value(float64(events-g.authority.Covered(ctx))))
	if e, err := g.authority.LogExtent(ctx); err == nil {
		p.Gauge("brevet_audit_segments", "Sealed segments of the audit log.", telemetry.Value(float64(e.Segments)))
		p.Gauge("brevet_audit_unsealed_events", "Events of the audit log that are in the store, and in no segment yet.", telemetry.Value(float64(e.Kept)))
		if !e.Since.IsZero() {
			p.Gauge("brevet_audit_unsealed_timestamp_seconds", "When the oldest of those was recorded, in seconds since the Unix epoch.", telemetry.At(e.Since))
		}
	}
	g.sinksOf(ctx, p)
}

// sinksOf writes how far each sink of the audit log is.
func (g *gauges) sinksOf(ctx context.Context, p *telemetry.Page) {
	all, err := g.sinks.Status(ctx)
	if err != nil || len(all) == 0 {
		return
	}
	var events, seconds []telemetry.Sample
	for _, st := range all {
		late := 0.0
		if !st.Oldest.IsZero() {
			late = max(0, g.clock.Now().Sub(st.Oldest).Seconds())
		}
		events, seconds = append(events, telemetry.Value(float64(st.Behind), "sink", st.Name)), append(seconds, telemetry.Value(late, "sink", st.Name))
	}
	p.Gauge("brevet_audit_sink_behind_events", "Events that a sink of the audit log has not got yet, by sink.", events...)
	p.Gauge("brevet_audit_sink_behind_seconds", "The age of the oldest of those, by sink.", seconds...)
}
