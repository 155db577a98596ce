package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

// listed returns what brevet.yaml says of a person, with the zero Role if it does not.
func (s *Service) listed(n persons.Name) Operator {
	for _, o := range s.Operators {
		if o.Name == n {
			return o
		}
	}
	return Operator{Name: n}
}

func (s *Service) listOperators(ctx context.Context, _ policy.Principal, _ struct{}) ([]api.Operator, error) {
	list := []api.Operator{}
	err := s.DB.View(ctx, func(tx storage.Tx) error {
		all := map[persons.Name]bool{}
		for _, o := range s.Operators {
			all[o.Name] = true
		}
		for p, err := range persons.All(tx) {
			if err != nil {
				return err
			}
			if !p.Added.IsZero() {
				all[p.Name] = true
			}
		}
		for n := range all {
			shown, err := s.shownOperator(tx, n)
			if err != nil {
				return err
			}
			list = append(list, shown)
		}
		return nil
	})
	slices.SortFunc(list, func(a, b api.Operator) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// shownOperator returns a person as operators see them.
func (s *Service) shownOperator(tx storage.Tx, n persons.Name) (out api.Operator, err error) {
	o := s.listed(n)
	p, err := persons.Get(tx, n)
	if err != nil {
		return out, err
	}
	out = api.Operator{Name: string(n), Role: o.Role.String(), UIDs: append([]uint32{}, o.UIDs...), State: "active", Changed: p.Changed, Added: p.Added, Removed: p.Removed}
	switch {
	case !p.Removed.IsZero():
		out.State = "removed"
	case p.Suspended:
		out.State = "suspended"
	}
	for _, k := range p.Passkeys {
		out.Passkeys = append(out.Passkeys, api.Passkey{ID: strict.ToBase64(k.ID), Added: k.Added, Synced: k.Synced})
	}
	if p.Role == 0 {
		return out, nil
	}
	if out.Role = p.Role.String(); o.Role != 0 && o.Role != p.Role {
		out.Role = min(o.Role, p.Role).String()
		out.Note = fmt.Sprintf("brevet.yaml gives %s the role %s, and the store %s: the lesser one holds", n, o.Role, p.Role)
	}
	if p.Added.IsZero() { // see persons.Limit
		return out, nil
	}
	c, err := currentOf(tx, agents.OperatorName(string(n)), s.Clock.Now())
	if c.Key != nil {
		out.CertExpires = c.Credential.ID.Expires()
	}
	return out, err
}

func (s *Service) showOperator(ctx context.Context, _ policy.Principal, in api.Named) (out api.Operator, err error) {
	n, err := persons.ParseName(in.Name)
	if err != nil {
		return out, err
	}
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		if err := s.knownOperator(tx, n); err != nil {
			return err
		}
		out, err = s.shownOperator(tx, n)
		return err
	})
	return out, err
}

// knownOperator returns nil if brevet.yaml lists a person, or they were added.
func (s *Service) knownOperator(tx storage.Tx, n persons.Name) error {
	p, err := persons.Get(tx, n)
	if err == nil && s.listed(n).Role == 0 && p.Added.IsZero() {
		err = fmt.Errorf("%w: brevet.yaml lists no operator %s, and none was added", persons.ErrUnknown, n)
	}
	return err
}
