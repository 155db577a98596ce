package agents

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/storage"
)

// A Change is what an operator writes about an agent, as text that is not
// checked yet. A nil field leaves the agent's as it is; an empty list empties it.
type Change struct {
	Owner     *string           `json:"owner,omitempty"`
	Purpose   *string           `json:"purpose,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"` // merged; an empty value removes the label
	Scopes    []string          `json:"scopes,omitzero"`
	Audiences []string          `json:"audiences,omitzero"`
	Roles     []string          `json:"roles,omitzero"`
	DNS       []string          `json:"dns,omitzero"`      // see [ParseDNS]
	IPs       []string          `json:"ips,omitzero"`      // see [ParseIP]
	Keys      []string          `json:"keys,omitzero"`     // PEM "PUBLIC KEY"s, for private_key_jwt
	TTL       *time.Duration    `json:"ttl,omitempty"`     // nanoseconds; 0 means the profile's
	Expires   *time.Time        `json:"expires,omitempty"` // the zero time means never
	Quotas    map[string]int64  `json:"quotas,omitempty"`  // merged, see [Quotas]; a negative one goes back to the usual one

	RenewGrace *time.Duration `json:"renew_grace,omitempty"` // nanoseconds; a negative one goes back to the authority's
	KeyMaxAge  *time.Duration `json:"key_max_age,omitempty"` // likewise; 0 means no limit

	// With Until, the scopes, audiences and roles are grants that end then, beside what the
	// agent has: see [Give]. The zero time takes such grants away.
	Until  *time.Time `json:"until,omitempty"`
	Reason *string    `json:"reason,omitempty"` // of these grants
}

// Reasons says what c changes, for the audit log: a part in each text.
func (c Change) Reasons() []string {
	var said []string
	if c.Owner != nil {
		said = append(said, "owner "+*c.Owner)
	}
	if c.Purpose != nil {
		said = append(said, "purpose "+*c.Purpose)
	}
	for _, k := range slices.Sorted(maps.Keys(c.Labels)) {
		said = append(said, "label "+k+"="+c.Labels[k])
	}
	for _, list := range []struct {
		what  string
		items []string
	}{{"scopes", c.Scopes}, {"audiences", c.Audiences}, {"roles", c.Roles}, {"dns", c.DNS}, {"ips", c.IPs}} {
		if list.items != nil {
			said = append(said, list.what+" "+strings.Join(list.items, " "))
		}
	}
	if c.Keys != nil {
		said = append(said, fmt.Sprintf("%d keys", len(c.Keys)))
	}
	if c.TTL != nil {
		said = append(said, "ttl "+clock.FormatDuration(*c.TTL))
	}
	if c.RenewGrace != nil {
		if said = append(said, "renew_grace "+clock.FormatDuration(*c.RenewGrace)); *c.RenewGrace < 0 {
			said[len(said)-1] = "renew_grace default"
		}
	}
	if c.KeyMaxAge != nil {
		if said = append(said, "key_max_age "+clock.FormatDuration(*c.KeyMaxAge)); *c.KeyMaxAge < 0 {
			said[len(said)-1] = "key_max_age default"
		}
	}
	if c.Expires != nil {
		said = append(said, "expires "+c.Expires.UTC().Format(time.RFC3339))
	}
	for _, k := range slices.Sorted(maps.Keys(c.Quotas)) {
		if said = append(said, fmt.Sprintf("quota %s=%d", k, c.Quotas[k])); c.Quotas[k] < 0 {
			said[len(said)-1] = "quota " + k + "=default"
		}
	}
	if c.Until != nil {
		if said = append(said, "until "+c.Until.UTC().Format(time.RFC3339)); c.Until.IsZero() {
			said[len(said)-1] = "until now"
		}
	}
	if c.Reason != nil {
		said = append(said, *c.Reason)
	}
	return said
}

// apply checks c and makes a what it says.
func (c Change) apply(tx storage.Tx, td TrustDomain, a *Agent, now time.Time, cleared ...components.Clearance) error {
	if c.Owner != nil {
		if err := keepOwnerCutoff(tx, *a, *c.Owner); err != nil {
			return err
		}
		a.Owner = *c.Owner
	}
	if c.Purpose != nil {
		a.Purpose = *c.Purpose
	}
	if c.TTL != nil {
		a.TTL = *c.TTL
	}
	if c.RenewGrace != nil {
		if a.RenewGrace = new(*c.RenewGrace); *c.RenewGrace < 0 {
			a.RenewGrace = nil
		}
	}
	if c.KeyMaxAge != nil {
		if a.KeyMaxAge = new(*c.KeyMaxAge); *c.KeyMaxAge < 0 {
			a.KeyMaxAge = nil
		}
	}
	if c.Expires != nil {
		if !c.Expires.IsZero() && !c.Expires.After(now) {
			return fmt.Errorf("%w expiry %s: it lies in the past; to end the agent now, suspend or decommission it", ErrInvalid, c.Expires.Format(time.RFC3339))
		}
		if a.expired(now) { // what ended then does not come back to life
			if err := CutAgent(tx, a.Name, a.end()); err != nil {
				return err
			}
		}
		a.Expires = c.Expires.UTC()
	}
	if len(c.Labels) > 0 {
		a.Labels = merge(a.Labels, c.Labels)
	}
	if len(c.Quotas) > 0 {
		var err error
		if a.Quotas, err = setQuotas(a.Quotas, c.Quotas); err != nil {
			return err
		}
	}
	if err := c.checkGrants(now); err != nil {
		return err
	}
	if c.Until != nil { // what ends is given by Give
		c.Scopes, c.Audiences, c.Roles = nil, nil, nil
	}
	before := a.Keys
	if err := c.applyRights(tx, a); err != nil {
		return err
	}
	if err := c.applyLists(tx, td, a); err != nil {
		return err
	}
	if err := a.dateKeys(tx, before, now); err != nil {
		return err
	}
	a.Changed = now
	if err := a.check(); err != nil || c.Keys == nil {
		return err
	}
	return setKeys(tx, a.Name, before, a.Keys, now, cleared...)
}

// merge returns labels with those of change; an empty value removes one.
func merge(labels, change map[string]string) map[string]string {
	merged := map[string]string{}
	maps.Copy(merged, labels)
	maps.Copy(merged, change)
	maps.DeleteFunc(merged, func(_, v string) bool { return v == "" })
	if len(merged) == 0 {
		return nil
	}
	return merged
}

// applyRights gives the agent what it may have in tokens. A list takes the place of what was
// there, grants that end among it.
func (c Change) applyRights(tx storage.Tx, a *Agent) (err error) {
	if c.Scopes != nil {
		before := a.Scopes
		if a.Scopes, err = parseAll(c.Scopes, parseScope); err != nil {
			return err
		}
		if err := newlyGranted(before, a.Scopes); err != nil {
			return err
		}
		a.Grants = drop(a.Grants, func(g Grant) bool { return g.Scope != "" })
	}
	if c.Audiences != nil {
		if a.Audiences, err = parseAll(c.Audiences, ParseAudience); err != nil {
			return err
		}
		a.Grants = drop(a.Grants, func(g Grant) bool { return g.Audience != "" })
	}
	if c.Roles != nil {
		if a.Roles, err = parseRoles(tx, c.Roles, a.roleNames()); err != nil {
			return err
		}
		a.Grants = drop(a.Grants, func(g Grant) bool { return g.Role != "" })
	}
	return nil
}

func (c Change) applyLists(tx storage.Tx, td TrustDomain, a *Agent) (err error) {
	if c.Keys != nil {
		a.Keys = nil
		for _, text := range c.Keys {
			k, err := ParsePublicKey([]byte(text))
			if err != nil {
				return err
			}
			a.Keys = append(a.Keys, k)
		}
	}
	if c.DNS == nil && c.IPs == nil {
		return nil
	}
	dns, err := parseAll(c.DNS, ParseDNS)
	if err != nil {
		return err
	}
	ips, err := parseAll(c.IPs, ParseIP)
	if err != nil {
		return err
	}
	if c.DNS == nil {
		dns = a.identifiers("dns")
	}
	if c.IPs == nil {
		ips = a.identifiers("ip")
	}
	return claim(tx, td, a, append(dns, ips...))
}

func (a Agent) identifiers(kind string) []Identifier {
	return slices.DeleteFunc(slices.Clone(a.Identifiers), func(i Identifier) bool { return i.Type != kind })
}

// parseAll parses each text and drops repetitions.
func parseAll[T comparable](texts []string, parse func(string) (T, error)) ([]T, error) {
	var all []T
	for _, s := range texts {
		v, err := parse(s)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all, nil
}
