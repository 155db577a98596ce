package config

import (
	"maps"
	"reflect"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
)

// Changes compares f with another brevet.yaml of the same authority. It returns the keys
// that a running server follows, and those that it follows only after a restart.
func (f *File) Changes(next *File) (live, restart []string) {
	note := func(list *[]string, key string, before, after any) {
		if !reflect.DeepEqual(before, after) {
			*list = append(*list, key)
		}
	}
	note(&live, "audit.sinks", f.Audit.Sinks, next.Audit.Sinks)
	for _, k := range agents.QuotaKinds() {
		note(&live, "limits."+k.String(), f.Limits[k], next.Limits[k])
	}
	note(&live, "log.level", f.Log.Level, next.Log.Level)
	note(&live, "names", f.MoreNames, next.MoreNames)
	note(&live, "policy.zone", f.Policy.Zone, next.Policy.Zone)
	profiles := map[string]ca.ProfileConfig{}
	maps.Copy(profiles, f.Profiles)
	maps.Copy(profiles, next.Profiles)
	for _, name := range slices.Sorted(maps.Keys(profiles)) {
		before, was := f.Profiles[name]
		after, is := next.Profiles[name]
		note(&live, "profiles."+name, []any{before, was}, []any{after, is})
	}

	note(&restart, "acme", f.ACME, next.ACME)
	note(&restart, "advertise", f.Advertise, next.Advertise)
	note(&restart, "advertise_http", f.AdvertiseHTTP, next.AdvertiseHTTP)
	note(&restart, "audit.segment", f.Audit.Segment, next.Audit.Segment)
	note(&restart, "crl", f.CRL, next.CRL)
	note(&restart, "health", f.Health, next.Health)
	note(&restart, "key_max_age", f.KeyMaxAges, next.KeyMaxAges)
	note(&restart, "keys", f.Keys, next.Keys)
	note(&restart, "listen", f.Listen, next.Listen)
	note(&restart, "listen_admin", f.ListenAdmin, next.ListenAdmin)
	note(&restart, "listen_http", f.ListenHTTP, next.ListenHTTP)
	note(&restart, "listen_metrics", f.ListenMetrics, next.ListenMetrics)
	note(&restart, "log.format", f.Log.JSON, next.Log.JSON)
	note(&restart, "operators", f.Operators, next.Operators)
	note(&restart, "proxy_protocol", f.ProxyProtocol, next.ProxyProtocol)
	note(&restart, "renew_grace", f.RenewGrace, next.RenewGrace)
	note(&restart, "rotate", f.Rotate, next.Rotate)
	note(&restart, "telemetry", f.Telemetry, next.Telemetry)
	note(&restart, "tokens", f.Tokens, next.Tokens)
	note(&restart, "trust_domain", f.TrustDomain, next.TrustDomain)
	return live, restart
}
