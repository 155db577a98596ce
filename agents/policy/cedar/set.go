// Package cedar decides by policies in the Cedar language (https://docs.cedarpolicy.com),
// which github.com/cedar-policy/cedar-go parses and evaluates. [Engine] is an engine of
// package policy. It decides by the version of the policies that is in force: see package
// policies.
//
// The file attributes.go declares once which attributes a policy may read: the schema and the
// entities come from there. Templates and entities of the operator's own are not implemented. Unlike
// Cedar's own authorizer, a policy that fails on a request denies it: a forbid that cannot
// be evaluated must not be passed over.
package cedar

import (
	"fmt"
	"iter"
	"regexp"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/ast"
	expast "github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Extension is how the names of files with policies end.
const Extension = ".cedar"

const (
	// maxPolicy bounds one policy, in octets, and so how deep it is nested: parsing and
	// evaluating it go as deep on the stack.
	maxPolicy = 16 << 10
	// maxPolicies bounds a set.
	maxPolicies = 2000
	// maxID bounds the identifier of a policy, which events of the audit log have.
	maxID = 60
)

// A Set is a compiled set of policies. It may be used concurrently.
type Set struct {
	rules    rules // in the order of the files and of the policies in them
	byAction map[audit.Action]rules
}

// A rule is one policy.
type rule struct {
	id     cedar.PolicyID
	file   string
	policy *cedar.Policy

	principal, resource scope
}

// rules are those that a request can match. They have an order, unlike a [cedar.PolicySet].
type rules []*rule

// All yields the policies, for [cedar.Authorize].
func (r rules) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, one := range r {
			if !yield(one.id, one.policy) {
				return
			}
		}
	}
}

// Compile compiles the files of a set. Its errors name the file, the line and the column.
func Compile(files []policies.File) (*Set, error) {
	if err := policies.Check(files); err != nil {
		return nil, err
	}
	s := &Set{byAction: map[audit.Action]rules{}}
	known := map[cedar.PolicyID]string{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name, Extension) {
			return nil, fmt.Errorf("%w file name %s: the name of a file with Cedar policies ends in %s", agents.ErrInvalid, f.Name, Extension)
		}
		list, err := parse(f)
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			if other, twice := known[r.id]; twice {
				return nil, r.errorf("the policy %s has the same @id as the one at %s", r.id, other)
			}
			known[r.id] = r.place()
			s.rules = append(s.rules, r)
		}
	}
	if len(s.rules) > maxPolicies {
		return nil, fmt.Errorf("%w policies: %d of them, and a set has %d at most", agents.ErrInvalid, len(s.rules), maxPolicies)
	}
	for _, a := range decided {
		s.byAction[a] = s.about(a)
	}
	return s, nil
}

// parse returns the policies of one file.
func parse(f policies.File) (rules, error) {
	for _, c := range split(f.Text) {
		if len(c.text) > maxPolicy {
			return nil, placed(f.Name, c.line, c.column, "a policy of %d octets, and one has %d at most", len(c.text), maxPolicy)
		}
	}
	list, err := cedar.NewPolicyListFromBytes(f.Name, []byte(f.Text))
	if err != nil {
		return nil, located(f, err)
	}
	var all rules
	for _, p := range list {
		r := &rule{file: f.Name, policy: p, principal: scopeOf(p.AST().Principal), resource: scopeOf(p.AST().Resource)}
		if r.id, err = r.identifier(); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// identifier returns the value of @id, or else the file and the line.
func (r *rule) identifier() (cedar.PolicyID, error) {
	given, ok := r.policy.Annotations()["id"]
	if !ok {
		return cedar.PolicyID(fmt.Sprintf("%s:%d:%d", clip(r.file), r.policy.Position().Line, r.policy.Position().Column)), nil
	}
	if !idForm.MatchString(string(given)) || len(given) > maxID {
		return "", r.errorf("@id(%.80q): want at most %d letters, digits and ._-", string(given), maxID)
	}
	return cedar.PolicyID(given), nil
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// clip keeps an identifier that begins with the name of a file within maxID.
func clip(name string) string { return name[:min(len(name), maxID-20)] }

// place is where the policy is, as FILE:LINE:COLUMN.
func (r *rule) place() string {
	at := r.policy.Position()
	return fmt.Sprintf("%s:%d:%d", r.file, at.Line, at.Column)
}

func (r *rule) errorf(format string, args ...any) error {
	at := r.policy.Position()
	return placed(r.file, at.Line, at.Column, format, args...)
}

// placed returns an error that begins with its place, as compilers write it.
func placed(file string, line, column int, format string, args ...any) error {
	return fmt.Errorf("%w policy: %s:%d:%d: %s", agents.ErrInvalid, file, line, column, fmt.Sprintf(format, args...))
}

// parseError is how cedar-go says where it failed.
var parseError = regexp.MustCompile(`^(?:parser error: )?(?:parse error at )?<input>:([0-9]+):([0-9]+):? (.*)$`)

// gotError is how it says that it wants another token. The place is that of the token after it.
var gotError = regexp.MustCompile(`^".*": exact got (.*) want (.*)$`)

// located gives an error of the parser its place. Some of its errors have none: then it is
// where the policy begins.
func located(f policies.File, err error) error {
	text := strings.ReplaceAll(err.Error(), "\n", " ")
	if m := parseError.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		column, _ := strconv.Atoi(m[2])
		if g := gotError.FindStringSubmatch(m[3]); g != nil {
			line, column = previous(f.Text, line, column, g[1])
			return placed(f.Name, line, column, "want %s here, not %.80q", g[2], g[1])
		}
		return placed(f.Name, line, column, "%.300s", m[3])
	}
	for _, c := range split(f.Text) {
		var p cedar.Policy
		if p.UnmarshalCedar([]byte(c.text)) != nil {
			return placed(f.Name, c.line, c.column, "%.300s", text)
		}
	}
	return placed(f.Name, 1, 1, "%.300s", text)
}

// about returns the rules whose scope an action is in.
func (s *Set) about(a audit.Action) (some rules) {
	for _, r := range s.rules {
		if matches(r.policy.AST(), a) {
			some = append(some, r)
		}
	}
	return some
}

// matches reports whether the scope of a policy has an action. Actions have no groups.
func matches(p *ast.Policy, a audit.Action) bool {
	uid := actionUID(a)
	switch scope := p.Action.(type) {
	case expast.ScopeTypeEq:
		return scope.Entity == uid
	case expast.ScopeTypeIn:
		return scope.Entity == uid
	case expast.ScopeTypeInSet:
		for _, e := range scope.Entities {
			if e == uid {
				return true
			}
		}
		return false
	}
	return true
}

// Policies returns how many policies the set has.
func (s *Set) Policies() int { return len(s.rules) }
