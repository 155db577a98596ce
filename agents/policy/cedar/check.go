package cedar

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A Finding is something that is wrong with a policy that compiles.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Policy  string `json:"policy"`
	Message string `json:"message"`
}

func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}

// Check compares the policies with the schema. It finds types of entities, attributes and
// actions that there are not, values of the wrong type, attributes that may be missing and
// are read without "has", and policies that can never match a request.
func (s *Set) Check() (all []Finding) {
	for _, r := range s.rules {
		for _, message := range r.check() {
			at := r.policy.Position()
			all = append(all, Finding{r.file, at.Line, at.Column, string(r.id), message})
		}
	}
	return all
}

func (r *rule) check() (messages []string) {
	p := (*ast.Policy)(r.policy.AST())
	if err := validator().Policy("", p); err != nil {
		return lines(err)
	}
	if impossible(p) {
		messages = append(messages, "the conditions are never true, so this policy never matches")
	}
	for _, uid := range mentioned(p) {
		if why := neverThere(uid); why != "" {
			messages = append(messages, fmt.Sprintf("%s never matches: %s", uid, why))
		}
	}
	return messages
}

// lines returns the errors that are joined in err, each once.
func lines(err error) (all []string) {
	known := map[string]bool{}
	for _, line := range strings.Split(err.Error(), "\n") {
		if line = strings.TrimSpace(line); line != "" && !known[line] && line != noAction {
			known[line] = true
			all = append(all, line)
		}
	}
	if len(all) == 0 { // otherwise that follows from the others
		all = append(all, "no action has such a principal and such a resource, so this policy never matches")
	}
	return all
}

// noAction is how the validator says that the scope of a policy never matches.
const noAction = "unable to find an applicable action given the policy scope constraints"

// impossible reports whether the types alone tell that the conditions of p are never true. The
// validator passes over what follows a condition that is always false, so it finds
// nothing wrong with a number that follows.
func impossible(p *ast.Policy) bool {
	if len(p.Conditions) == 0 {
		return false
	}
	all := ast.True()
	for _, c := range p.Conditions {
		body := ast.NewNode(c.Body)
		if c.Condition == ast.ConditionUnless {
			body = ast.Not(body)
		}
		all = all.And(body)
	}
	probe := *p
	probe.Conditions = nil
	return validator().Policy("", probe.When(all.And(ast.Long(1)))) == nil
}

// mentioned returns the entities that a policy names.
func mentioned(p *ast.Policy) (all []cedar.EntityUID) {
	for _, scope := range []any{p.Principal, p.Resource} {
		switch s := scope.(type) {
		case ast.ScopeTypeEq:
			all = append(all, s.Entity)
		case ast.ScopeTypeIn:
			all = append(all, s.Entity)
		case ast.ScopeTypeIsIn:
			all = append(all, s.Entity)
		}
	}
	for _, c := range p.Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			if v, ok := n.(ast.NodeValue); ok {
				if uid, ok := v.Value.(types.EntityUID); ok {
					all = append(all, uid)
				}
			}
			return true
		})
	}
	return all
}

// neverThere says why no request is about an entity of a known type, if that is so.
func neverThere(uid cedar.EntityUID) string {
	var err error
	id := string(uid.ID)
	switch uid.Type {
	case typeAgent:
		_, err = agents.ParseName(id)
	case typeRole:
		_, err = agents.ParseRoleName(id)
	case typeAudience:
		_, err = agents.ParseAudience(id)
	case typeLabel:
		k, v, ok := strings.Cut(id, "=")
		if err = agents.CheckLabel(k, v); !ok {
			err = errors.New("a label is written KEY=VALUE")
		}
	case typeName:
		if _, err = agents.ParseDNS(id); err != nil {
			_, err = agents.ParseIP(id)
		}
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// Unpermitted returns the actions that no policy of the set permits, whoever asks: nobody gets
// such a credential while the set is in force.
func (s *Set) Unpermitted() (none []audit.Action) {
	for _, a := range decided {
		permits := false
		for _, r := range s.byAction[a] {
			permits = permits || r.policy.Effect() == cedar.Permit
		}
		if !permits {
			none = append(none, a)
		}
	}
	return none
}
