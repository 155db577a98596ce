package operator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/audit"
)

// changed returns, for the audit log, the old and the new value of each field that c
// sets. Fields have the names that they have in the API.
func changed(c agents.Change, before, after agents.Agent) (list []audit.FieldChange) {
	for _, f := range []struct {
		name  string
		given bool
		of    func(agents.Agent) string
	}{
		{"owner", c.Owner != nil, func(a agents.Agent) string { return a.Owner }},
		{"purpose", c.Purpose != nil, func(a agents.Agent) string { return a.Purpose }},
		{"labels", len(c.Labels) > 0, func(a agents.Agent) string { return strings.Join(labels(a.Labels), " ") }},
		{"scopes", c.Scopes != nil, func(a agents.Agent) string { return agents.JoinScopes(a.Scopes) }},
		{"audiences", c.Audiences != nil, func(a agents.Agent) string { return strings.Join(a.Audiences, " ") }},
		{"roles", c.Roles != nil, func(a agents.Agent) string { return strings.Join(texts(a.Roles), " ") }},
		{"grants", c.Scopes != nil || c.Audiences != nil || c.Roles != nil, grants},
		{"dns", c.DNS != nil, func(a agents.Agent) string { return identifiers(a, "dns") }},
		{"ips", c.IPs != nil, func(a agents.Agent) string { return identifiers(a, "ip") }},
		{"keys", c.Keys != nil, func(a agents.Agent) string { return strings.Join(thumbprints(a), " ") }},
		{"ttl", c.TTL != nil, lifetime},
		{"expires", c.Expires != nil, end},
		{"quotas", len(c.Quotas) > 0, quotas},
		{"renew_grace", c.RenewGrace != nil, renewGrace},
		{"key_max_age", c.KeyMaxAge != nil, keyMaxAge},
	} {
		if from, to := f.of(before), f.of(after); f.given && from != to {
			list = append(list, audit.FieldChange{Field: f.name, From: from, To: to})
		}
	}
	return list
}

func grants(a agents.Agent) string {
	var list []string
	for _, g := range a.Grants {
		list = append(list, g.String())
	}
	return strings.Join(list, " ")
}

func identifiers(a agents.Agent, kind string) string {
	var list []string
	for _, i := range a.Identifiers {
		if i.Type == kind {
			list = append(list, i.String())
		}
	}
	return strings.Join(list, " ")
}

// thumbprints returns the SHA-256 of each registered key, in hexadecimal.
func thumbprints(a agents.Agent) (list []string) {
	for _, k := range a.Keys {
		sum := sha256.Sum256(k)
		list = append(list, hex.EncodeToString(sum[:]))
	}
	return list
}

func lifetime(a agents.Agent) string {
	if a.TTL == 0 {
		return "" // the profile's
	}
	return clock.FormatDuration(a.TTL)
}

func renewGrace(a agents.Agent) string {
	if a.RenewGrace == nil {
		return "" // the authority's
	}
	return clock.FormatDuration(*a.RenewGrace)
}

func keyMaxAge(a agents.Agent) string {
	if a.KeyMaxAge == nil {
		return "" // the authority's
	}
	if *a.KeyMaxAge == 0 {
		return "never"
	}
	return clock.FormatDuration(*a.KeyMaxAge)
}

func end(a agents.Agent) string {
	if a.Expires.IsZero() {
		return "" // never
	}
	return a.Expires.UTC().Format(time.RFC3339)
}

func quotas(a agents.Agent) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(a.Quotas)) {
		list = append(list, fmt.Sprintf("%s=%d", k, a.Quotas[k]))
	}
	return strings.Join(list, " ")
}

// selected returns, for the audit log, how credentials were selected.
func (s selection) selected() *audit.Selection {
	return &audit.Selection{Agent: s.Agent, Owner: s.Owner, Labels: labels(s.Labels), IssuedBefore: s.IssuedBefore, IssuedSince: s.IssuedSince, Role: s.Role}
}

// counts returns, for the audit log, how much a revocation ended.
func counts(r api.Receipt) *audit.Counts {
	return &audit.Counts{
		Certificates: int64(r.Certificates), Tokens: int64(r.Tokens), Accounts: int64(r.ACMEAccounts),
		Enrollments: int64(r.Enrollments), Bindings: int64(r.ACMEKeys),
	}
}
