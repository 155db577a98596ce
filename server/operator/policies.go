package operator

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/agents/policy/cedar"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

func (s *Service) policyOperations() []Operation {
	return []Operation{
		operation(s, policy.Read, api.ListPolicies, s.listPolicies),
		operation(s, policy.Read, api.ShowPolicies, s.showPolicies),
		operation(s, audit.PolicyApply, api.ApplyPolicies, s.applyPolicies),
		operation(s, audit.PolicyRemove, api.RemovePolicies, s.removePolicies),
	}
}

func (s *Service) listPolicies(ctx context.Context, _ policy.Principal, _ struct{}) (list []api.PolicyVersion, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		list = []api.PolicyVersion{}
		head, err := policies.Current(tx)
		if err != nil {
			return err
		}
		all, err := policies.All(tx)
		for _, v := range all {
			list = append(list, shownPolicies(v, head))
		}
		return err
	})
	return list, err
}

func (s *Service) showPolicies(ctx context.Context, _ policy.Principal, in api.PolicyVersionRequest) (out api.PolicyVersion, err error) {
	var number int64
	if in.Version != "current" {
		if number, err = strconv.ParseInt(in.Version, 10, 64); err != nil || number < 1 {
			return out, fmt.Errorf("%w version %.80q: want its number, or current", agents.ErrInvalid, in.Version)
		}
	}
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		head, err := policies.Current(tx)
		if err != nil {
			return err
		}
		v, err := policies.Get(tx, number)
		if err != nil {
			return err
		}
		out = shownPolicies(v, head)
		return nil
	})
	out.Zone = s.Cedar.Zone().String()
	return out, err
}

// shownPolicies returns a version as operators see it. In a list it has no texts.
func shownPolicies(v policies.Version, head policies.Head) api.PolicyVersion {
	out := api.PolicyVersion{Version: v.Number, SHA256: v.Digest, Actor: v.Actor, Applied: v.Applied, InForce: v.Number == head.Number}
	for _, f := range v.Files {
		shown := api.PolicyFile{Name: f.Name, Text: f.Text}
		if f.Text != "" {
			shown.SHA256 = f.Digest()
		}
		out.Files = append(out.Files, shown)
	}
	return out
}

func (s *Service) applyPolicies(ctx context.Context, p policy.Principal, in api.ApplyPoliciesRequest) (out api.PolicyVersion, err error) {
	var files []policies.File
	for _, f := range in.Files {
		files = append(files, policies.File{Name: f.Name, Text: f.Text})
	}
	var set *cedar.Set
	err = s.do(ctx, p, act{
		action: audit.PolicyApply, subject: string(agents.Authority),
		prepare: func(context.Context) (err error) { set, err = checked(files, in.Unchecked); return err },
		change: func(tx storage.Tx, now time.Time, d *audit.Details) error {
			before, err := policies.Current(tx)
			if err != nil {
				return err
			}
			v, changed, err := policies.Apply(tx, files, p.Actor, now)
			if err != nil {
				return err
			}
			head := policies.Head{Number: v.Number, Digest: v.Digest}
			out = shownPolicies(v, head)
			if out.Note = warning(set); !changed {
				out.Note = fmt.Sprintf("these are the policies in force already, as version %d", v.Number)
				return nil
			}
			d.Change, d.Size = headChange(before, head), size(files)
			return nil
		},
	})
	out.Zone = s.Cedar.Zone().String()
	return out, err
}

// checked compiles policies. Those that do not fit the schema are refused, unless that is
// wanted.
func checked(files []policies.File, unchecked bool) (*cedar.Set, error) {
	set, err := cedar.Compile(files)
	if err != nil || unchecked {
		return set, err
	}
	found := set.Check()
	if len(found) == 0 {
		return set, nil
	}
	err = fmt.Errorf("%w policy: %s", agents.ErrInvalid, found[0])
	if more := len(found) - 1; more > 0 {
		err = fmt.Errorf("%w (and %d more findings, see brevet policy check)", err, more)
	}
	return nil, err
}

// warning says what nobody gets any more by these policies.
func warning(set *cedar.Set) string {
	var none []string
	for _, a := range set.Unpermitted() {
		none = append(none, string(a))
	}
	if len(none) == 0 {
		return ""
	}
	return "no policy permits " + strings.Join(none, " or ") + ": from now on, no agent gets that"
}

// headChange says, for the audit log, what took the place of what.
func headChange(before, after policies.Head) []audit.FieldChange {
	number := func(h policies.Head) string {
		if h.Number == 0 {
			return ""
		}
		return strconv.FormatInt(h.Number, 10)
	}
	return []audit.FieldChange{
		{Field: "version", From: number(before), To: number(after)},
		{Field: "sha256", From: before.Digest, To: after.Digest},
	}
}

func size(files []policies.File) (n int64) {
	for _, f := range files {
		n += int64(len(f.Text))
	}
	return n
}

func (s *Service) removePolicies(ctx context.Context, p policy.Principal, _ struct{}) (out api.PolicyVersion, err error) {
	err = s.do(ctx, p, act{action: audit.PolicyRemove, subject: string(agents.Authority), change: func(tx storage.Tx, _ time.Time, d *audit.Details) error {
		v, err := policies.Remove(tx)
		if errors.Is(err, policies.ErrNone) {
			out = api.PolicyVersion{Files: []api.PolicyFile{}, Note: "no policies were in force"}
			return nil
		}
		if err != nil {
			return err
		}
		d.Change = headChange(policies.Head{Number: v.Number, Digest: v.Digest}, policies.Head{})
		out = shownPolicies(v, policies.Head{})
		return nil
	}})
	return out, err
}
