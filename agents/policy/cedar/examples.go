package cedar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// MaxExamples bounds a file with examples, in octets.
const MaxExamples = 1 << 20

// Examples are requests with the verdict that policies are to give, as a file has them.
type Examples struct {
	Zone   string                  `yaml:"zone"` // "" means UTC
	Agents map[string]ExampleAgent `yaml:"agents"`
	List   []Example               `yaml:"examples"`
}

// An ExampleAgent is an agent as the registry might have it.
type ExampleAgent struct {
	Owner   string            `yaml:"owner"`
	Purpose string            `yaml:"purpose"`
	Labels  map[string]string `yaml:"labels"`
	Roles   []string          `yaml:"roles"`
	Created string            `yaml:"created"`
	Expires string            `yaml:"expires"`
}

// An Example is one request.
type Example struct {
	Name     string   `yaml:"name"`
	Agent    string   `yaml:"agent"`
	Action   string   `yaml:"action"` // "" means token.mint
	Scope    words    `yaml:"scope"`
	Audience words    `yaml:"audience"`
	Names    words    `yaml:"names"`
	Profile  string   `yaml:"profile"`
	Peer     string   `yaml:"peer"`
	Proof    string   `yaml:"proof"`
	Time     string   `yaml:"time"`
	Verdict  string   `yaml:"verdict"`  // permit or deny
	Granted  words    `yaml:"granted"`  // the scopes that a token gets; none means all
	Policies []string `yaml:"policies"` // those that determine it; none means any
}

// words are a list, or one text with spaces.
type words []string

// UnmarshalYAML reads words.
func (w *words) UnmarshalYAML(n *yaml.Node) error {
	var one string
	if n.Kind == yaml.ScalarNode {
		err := n.Decode(&one)
		*w = strings.Fields(one)
		return err
	}
	return n.Decode((*[]string)(w))
}

// ParseExamples reads a file with examples, in YAML or JSON.
func ParseExamples(text []byte) (*Examples, error) {
	var out Examples
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&out); err != nil {
		return nil, fmt.Errorf("%w examples: %s", agents.ErrInvalid, strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "yaml: "))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w examples: there is more than one document", agents.ErrInvalid)
	}
	return &out, out.check()
}

// check refuses examples that say nothing, or that no registry could have.
func (x *Examples) check() error {
	if len(x.List) == 0 {
		return fmt.Errorf("%w examples: there is none", agents.ErrInvalid)
	}
	if _, err := x.zone(); err != nil {
		return err
	}
	for name, a := range x.Agents {
		if _, err := a.registered(name); err != nil {
			return err
		}
	}
	for i := range x.List {
		e := &x.List[i]
		if e.Name == "" {
			e.Name = fmt.Sprintf("example %d", i+1)
		}
		if _, err := x.request(e, Registered{}); err != nil {
			return err
		}
		if e.Verdict != "permit" && e.Verdict != "deny" {
			return e.errorf("verdict %q: want permit or deny", e.Verdict)
		}
	}
	return nil
}

func (e *Example) errorf(format string, args ...any) error {
	return fmt.Errorf("%w example %q: %s", agents.ErrInvalid, e.Name, fmt.Sprintf(format, args...))
}

func (x *Examples) zone() (*time.Location, error) {
	zone, err := time.LoadLocation(x.Zone)
	if err != nil || x.Zone == "Local" {
		return nil, fmt.Errorf("%w examples: zone %q: want the name of a time zone, such as Europe/Berlin", agents.ErrInvalid, x.Zone)
	}
	return zone, nil
}

// A Registered agent is one with the roles that it has.
type Registered struct {
	Agent agents.Agent
	Roles []agents.RoleName
}

// registered returns the agent of a name.
func (a ExampleAgent) registered(name string) (out Registered, err error) {
	if out.Agent.Name, err = agents.ParseName(name); err != nil {
		return out, err
	}
	for k, v := range a.Labels {
		if err := agents.CheckLabel(k, v); err != nil {
			return out, err
		}
	}
	for _, s := range a.Roles {
		role, err := agents.ParseRoleName(s)
		if err != nil {
			return out, err
		}
		out.Roles = append(out.Roles, role)
	}
	out.Agent.Owner, out.Agent.Purpose, out.Agent.Labels = a.Owner, a.Purpose, a.Labels
	if out.Agent.Created, err = when(a.Created, time.UTC); err == nil {
		out.Agent.Expires, err = when(a.Expires, time.UTC)
	}
	return out, err
}

// request returns what an example asks for, as an agent.
func (x *Examples) request(e *Example, as Registered) (r Request, err error) {
	zone, err := x.zone()
	if err != nil {
		return r, err
	}
	r = Request{Agent: as.Agent, Roles: as.Roles, Action: audit.Action(e.Action), Peer: e.Peer, Proof: e.Proof, Audiences: e.Audience, Profile: e.Profile}
	if r.Action == "" {
		r.Action = audit.TokenMint
	}
	if !Decides(r.Action) {
		return r, e.errorf("action %q: policies decide %s and %s", e.Action, decided[0], decided[1])
	}
	if r.Time, err = when(e.Time, zone); err != nil {
		return r, e.errorf("%v", err)
	}
	if r.Peer != "" && address(r.Peer) == nil {
		return r, e.errorf("peer %q: want an IP address", e.Peer)
	}
	for _, s := range e.Scope {
		r.Scopes = append(r.Scopes, agents.Scope(s))
	}
	for _, n := range e.Names {
		r.Names = append(r.Names, identifier(n))
	}
	if r.Action == audit.CertificateIssue && r.Profile == "" {
		r.Profile = "default"
	}
	return r, nil
}

// when reads a time: with an offset, or by the clock of a zone.
func when(s string, zone *time.Location) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w time %q: want one such as 2026-03-02T09:00, or with an offset", agents.ErrInvalid, s)
}

// A Tested example has what the policies say.
type Tested struct {
	Name    string   `json:"name"`
	Passed  bool     `json:"passed"`
	Want    string   `json:"want"`
	Got     string   `json:"got"`
	Verdict *Verdict `json:"verdict,omitempty"`
}

// Test gives each example to the policies. registry returns agents that the file does not have;
// it may be nil.
func (x *Examples) Test(s *Set, registry func(name string) (Registered, error)) ([]Tested, error) {
	zone, err := x.zone()
	if err != nil {
		return nil, err
	}
	var all []Tested
	for i := range x.List {
		e := &x.List[i]
		as, err := x.agentOf(e, registry)
		if err != nil {
			return nil, err
		}
		r, err := x.request(e, as)
		if err != nil {
			return nil, err
		}
		all = append(all, e.judge(s.Decide(&r, zone)))
	}
	return all, nil
}

func (x *Examples) agentOf(e *Example, registry func(string) (Registered, error)) (Registered, error) {
	if a, ok := x.Agents[e.Agent]; ok {
		return a.registered(e.Agent)
	}
	if registry == nil {
		return Registered{}, e.errorf("the file has no agent %q", e.Agent)
	}
	return registry(e.Agent)
}

// judge compares a verdict with the one that the example wants.
func (e *Example) judge(v Verdict) Tested {
	t := Tested{Name: e.Name, Want: e.Verdict, Got: effect(v.Allowed), Verdict: &v}
	if v.Allowed && len(e.Granted) > 0 {
		t.Want += " " + sorted(e.Granted)
		t.Got += " " + sorted(v.Scopes)
	}
	if len(e.Policies) > 0 {
		t.Want += " by " + sorted(e.Policies)
		t.Got += " by " + sorted(v.rulesOf())
	}
	t.Passed = t.Want == t.Got
	return t
}

func sorted[S ~string](list []S) string {
	return strings.Join(slices.Sorted(slices.Values(texts(list))), " ")
}
