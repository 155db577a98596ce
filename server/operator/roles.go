package operator

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

func (s *Service) roleOperations() []Operation {
	return []Operation{
		operation(s, policy.Read, api.ListRoles, s.listRoles),
		operation(s, policy.Read, api.ShowRole, s.showRole),
		operation(s, audit.RoleAdd, api.AddRole, s.addRole),
		operation(s, audit.RoleSet, api.SetRole, s.setRole),
		operation(s, audit.RoleRemove, api.RemoveRole, s.removeRole),
	}
}

func (s *Service) listRoles(ctx context.Context, _ policy.Principal, _ struct{}) ([]api.Role, error) {
	list := []api.Role{}
	err := s.DB.View(ctx, func(tx storage.Tx) error {
		held, err := agents.AllRoleHolders(tx)
		if err != nil {
			return err
		}
		for r, err := range agents.Roles(tx) {
			if err != nil {
				return err
			}
			list = append(list, shownRole(r, len(held[r.Name])))
		}
		return nil
	})
	return list, err
}

func (s *Service) showRole(ctx context.Context, _ policy.Principal, in api.Named) (out api.Role, err error) {
	name, err := agents.ParseRoleName(in.Name)
	if err != nil {
		return out, err
	}
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		r, err := agents.GetRole(tx, name)
		if err == nil {
			out, err = showRoleIn(tx, r)
		}
		return err
	})
	return out, err
}

func (s *Service) addRole(ctx context.Context, p policy.Principal, in api.AddRoleRequest) (api.Role, error) {
	change := agents.RoleChange(in.RoleChange)
	return s.changeRole(ctx, p, audit.RoleAdd, in.Name, func(tx storage.Tx, n agents.RoleName, now time.Time) (before, after agents.Role, err error) {
		after, err = agents.AddRole(tx, n, change, now)
		return before, after, err
	})
}

func (s *Service) setRole(ctx context.Context, p policy.Principal, in api.SetRoleRequest) (api.Role, error) {
	change := agents.RoleChange(in.RoleChange)
	return s.changeRole(ctx, p, audit.RoleSet, in.Name, func(tx storage.Tx, n agents.RoleName, now time.Time) (before, after agents.Role, err error) {
		if before, err = agents.GetRole(tx, n); err == nil {
			after, err = agents.SetRole(tx, n, change, now)
		}
		return before, after, err
	})
}

// changeRole runs a change of a role, and checks that the operator may give agents what the
// role has after it.
func (s *Service) changeRole(ctx context.Context, p policy.Principal, action audit.Action, name string, change func(storage.Tx, agents.RoleName, time.Time) (before, after agents.Role, err error)) (out api.Role, err error) {
	n, err := agents.ParseRoleName(name)
	if err != nil {
		return out, err
	}
	err = s.do(ctx, p, act{action: action, subject: string(n), change: func(tx storage.Tx, now time.Time, d *audit.Details) error {
		before, after, err := change(tx, n, now)
		d.Change = changedRole(before, after)
		if err == nil {
			err = policy.MayGrantScopes(p, after.Scopes)
		}
		if err != nil {
			return err
		}
		out, err = showRoleIn(tx, after)
		return err
	}})
	return out, err
}

func (s *Service) removeRole(ctx context.Context, p policy.Principal, in api.RemoveRoleRequest) (out api.Role, err error) {
	n, err := agents.ParseRoleName(in.Name)
	if err != nil {
		return out, err
	}
	err = s.do(ctx, p, act{action: audit.RoleRemove, subject: string(n), change: func(tx storage.Tx, now time.Time, d *audit.Details) error {
		before, held, err := agents.RemoveRole(tx, n, in.Force, now)
		if d.Change = changedRole(before, agents.Role{}); len(held) > 0 {
			d.Counts = &audit.Counts{Agents: int64(len(held))}
		}
		if err != nil {
			return err
		}
		out = shownRole(before, len(held))
		switch {
		case !before.Removed.IsZero():
			out.Note = fmt.Sprintf("%s was removed already", n)
		case len(held) > 0:
			out.Note = fmt.Sprintf("%d agents had it; it gives them nothing any more", len(held))
		}
		return nil
	}})
	return out, err
}

// changedRole returns, for the audit log, the old and the new value of what was changed.
func changedRole(before, after agents.Role) (list []audit.FieldChange) {
	for _, f := range []audit.FieldChange{
		{Field: "description", From: before.Description, To: after.Description},
		{Field: "scopes", From: agents.JoinScopes(before.Scopes), To: agents.JoinScopes(after.Scopes)},
		{Field: "audiences", From: strings.Join(before.Audiences, " "), To: strings.Join(after.Audiences, " ")},
		{Field: "details", From: strings.Join(before.Details, " "), To: strings.Join(after.Details, " ")},
	} {
		if f.From != f.To {
			list = append(list, f)
		}
	}
	return list
}

// showRoleIn returns r as operators see it, with how many agents have it in tx.
func showRoleIn(tx storage.Tx, r agents.Role) (api.Role, error) {
	held, err := agents.RoleHolders(tx, r.Name)
	return shownRole(r, len(held)), err
}

func shownRole(r agents.Role, held int) api.Role {
	return api.Role{
		Name: string(r.Name), Description: r.Description, Scopes: texts(r.Scopes), Audiences: r.Audiences, Details: r.Details,
		Agents: held, Created: r.Created, Changed: r.Changed,
	}
}

func texts[T ~string](list []T) (texts []string) {
	for _, v := range list {
		texts = append(texts, string(v))
	}
	return texts
}

// shownGrants returns the grants of an agent as operators see them.
func shownGrants(a agents.Agent) (list []api.Grant) {
	for _, g := range a.Grants {
		list = append(list, api.Grant{
			Scope: string(g.Scope), Audience: g.Audience, Role: string(g.Role), Until: g.Until, Reason: g.Reason, By: g.By, Given: g.Given,
		})
	}
	return list
}

// heldNow returns what an agent may have in tokens, and those of its roles that were removed.
func heldNow(tx storage.Tx, a agents.Agent, now time.Time) (api.Held, []string, error) {
	h, err := agents.Held(tx, &a, now)
	return api.Held{Scopes: texts(h.Scopes()), Audiences: h.Audiences(), Details: h.Details()}, texts(h.Gone()), err
}
