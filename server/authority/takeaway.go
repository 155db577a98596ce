package authority

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// takeAway removes from an agent what a change removed.
func (r *replay) takeAway(e audit.Event) (bool, error) {
	if e.Details == nil {
		return false, nil
	}
	narrower, err := r.narrow(e)
	if err != nil {
		return false, err
	}
	ended, err := r.dropGrants(e)
	if err != nil {
		return false, err
	}
	fewer, err := r.dropKeys(e)
	return narrower || ended || fewer, err
}

// dropGrants removes the grants that a change removed, and shortens those that it shortened.
func (r *replay) dropGrants(e audit.Event) (bool, error) {
	i := slices.IndexFunc(e.Details.Change, func(c audit.FieldChange) bool { return c.Field == "grants" })
	if i < 0 {
		return false, nil
	}
	return agents.KeepGrants(r.tx, agents.Name(e.Subject), strings.Fields(e.Details.Change[i].To), e.Time)
}

// narrowRole leaves a role what it had after a change.
func (r *replay) narrowRole(e audit.Event) (bool, error) {
	if e.Details == nil {
		return false, nil
	}
	role, err := agents.GetRole(r.tx, agents.RoleName(e.Subject))
	if err != nil {
		return false, err
	}
	var scopes []string
	for _, s := range role.Scopes {
		scopes = append(scopes, string(s))
	}
	var change agents.RoleChange
	changed := false
	for _, f := range []struct {
		name string
		has  []string
		into *[]string
	}{{"scopes", scopes, &change.Scopes}, {"audiences", role.Audiences, &change.Audiences}, {"details", role.Details, &change.Details}} {
		for _, c := range e.Details.Change {
			if left := kept(f.has, c.To); c.Field == f.name && len(left) < len(f.has) {
				*f.into, changed = left, true
			}
		}
	}
	if !changed {
		return false, nil
	}
	_, err = agents.SetRole(r.tx, role.Name, change, e.Time)
	return err == nil, err
}

// removeRole removes a role, whoever has it.
func (r *replay) removeRole(e audit.Event) (bool, error) {
	before, _, err := agents.RemoveRole(r.tx, agents.RoleName(e.Subject), true, e.Time)
	return err == nil && before.Removed.IsZero(), err
}

// kept returns those items of a list that a text has, as a list that is not nil.
func kept(has []string, text string) []string {
	to := strings.Fields(text)
	return append([]string{}, slices.DeleteFunc(slices.Clone(has), func(s string) bool { return !slices.Contains(to, s) })...)
}

// narrow leaves an agent the scopes, audiences, names, times and quotas that it had after a change.
// Those that it got later are not given back. The log shortens long lists: then it takes
// more than was taken.
func (r *replay) narrow(e audit.Event) (bool, error) {
	a, err := agents.Get(r.tx, agents.Name(e.Subject))
	if err != nil {
		return false, err
	}
	var has [5][]string
	for _, s := range a.Scopes {
		has[0] = append(has[0], string(s))
	}
	has[1] = slices.Clone(a.Audiences)
	for _, i := range a.Identifiers {
		list := &has[2]
		if i.Type != "dns" {
			list = &has[3]
		}
		*list = append(*list, i.String())
	}
	for _, n := range a.Roles {
		has[4] = append(has[4], string(n))
	}
	var change agents.Change
	into := [...]*[]string{&change.Scopes, &change.Audiences, &change.DNS, &change.IPs, &change.Roles}
	changed := false
	for _, c := range e.Details.Change {
		if r.shorten(&change, a, c) {
			changed = true
			continue
		}
		i := slices.Index([]string{"scopes", "audiences", "dns", "ips", "roles"}, c.Field)
		if i < 0 {
			continue
		}
		if left := kept(has[i], c.To); len(left) < len(has[i]) {
			*into[i], changed = left, true
		}
	}
	if !changed {
		return false, nil
	}
	_, err = agents.Set(r.tx, r.td, a.Name, change, e.Time)
	return err == nil, err
}

// dropKeys removes the registered keys that a change removed. If the log has cut the list of those
// from before, it removes all that did not stay.
func (r *replay) dropKeys(e audit.Event) (bool, error) {
	i := slices.IndexFunc(e.Details.Change, func(c audit.FieldChange) bool { return c.Field == "keys" })
	if i < 0 {
		return false, nil
	}
	c := e.Details.Change[i]
	from, to, all := strings.Fields(c.From), strings.Fields(c.To), audit.IsCut(c.From)
	return agents.DropKeys(r.tx, agents.Name(e.Subject), func(k agents.PublicKey) bool {
		sum := sha256.Sum256(k)
		thumbprint := hex.EncodeToString(sum[:])
		return (all || slices.Contains(from, thumbprint)) && !slices.Contains(to, thumbprint)
	}, e.Time)
}
