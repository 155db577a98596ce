package cedar

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

var (
	// ErrDenied says that no policy permits a request.
	ErrDenied = agents.NewRefusal("policy_denied", policy.ErrDenied.Error()+": no policy permits this", policy.ErrDenied)
	// ErrForbidden says that a policy forbids a request.
	ErrForbidden = agents.NewRefusal("policy_forbidden", policy.ErrDenied.Error()+": a policy forbids this", policy.ErrDenied)
	// ErrFailed says that a policy could not be evaluated.
	ErrFailed = agents.NewRefusal("policy_failed", policy.ErrDenied.Error()+": a policy could not be evaluated", policy.ErrDenied)
)

// An Engine decides by the version of the policies that is in force: see [Decides] for what.
// While none is, it grants what the registry grants.
type Engine struct {
	db   storage.DB
	zone atomic.Pointer[time.Location]

	mu       sync.Mutex
	compiled map[policies.Head]*Set // the last few
}

// maxCompiled bounds how many sets are kept compiled: the one in force, and earlier ones of
// decisions under way.
const maxCompiled = 2

// NewEngine returns an engine that reads the policies in db. The time of day is that of a zone.
func NewEngine(db storage.DB, zone *time.Location) *Engine {
	e := &Engine{db: db, compiled: map[policies.Head]*Set{}}
	e.SetZone(zone)
	return e
}

// SetZone replaces the zone, from the next decision on.
func (e *Engine) SetZone(zone *time.Location) { e.zone.Store(zone) }

// Zone returns the zone.
func (e *Engine) Zone() *time.Location { return e.zone.Load() }

// Decide answers q. A policy narrows the scopes of a token that the built-in rules grant, or
// refuses a credential.
func (e *Engine) Decide(ctx context.Context, q *policy.Query, facts *agents.Facts) (policy.Decision, error) {
	if !Decides(q.Action) || !q.Agent.OfAgent() {
		return policy.Decision{Effect: audit.Allow}, nil
	}
	head, set, err := e.current(ctx)
	if err != nil || set == nil {
		return policy.Decision{Effect: audit.Allow, Policies: &head}, err
	}
	held := facts.Holdings(q.Time)
	v := set.Decide(&Request{
		Agent: facts.Agent, Roles: held.Roles(), Action: q.Action, Peer: q.Peer, Proof: q.Proof.Code, Time: q.Time,
		Scopes: q.Scopes, Audiences: q.Audiences, Names: q.Names, Profile: q.Profile,
	}, e.Zone())
	d := policy.Decision{Effect: audit.Allow, Policies: &head, Reasons: reasons(head.Number, v.rulesOf())}
	if !v.Allowed {
		d.Effect, d.Refusal = audit.Deny, v.refusal()
	}
	d.Granted.Scopes = v.Scopes
	return d, nil
}

// current returns the set in force, or nil if none is.
func (e *Engine) current(ctx context.Context) (head policies.Head, set *Set, err error) {
	var v policies.Version
	err = e.db.View(ctx, func(tx storage.Tx) error {
		if head, err = policies.Current(tx); err != nil || head.Number == 0 {
			return err
		}
		if set = e.known(head); set == nil {
			v, err = policies.Get(tx, head.Number)
		}
		return err
	})
	if err != nil || head.Number == 0 || set != nil {
		return head, set, err
	}
	set, err = e.compile(head, v)
	return head, set, err
}

func (e *Engine) known(head policies.Head) *Set {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.compiled[head]
}

// compile compiles a version. One of an earlier brevet may not compile: then all is refused.
func (e *Engine) compile(head policies.Head, v policies.Version) (*Set, error) {
	if got := policies.Digest(v.Files); got != head.Digest {
		return nil, fmt.Errorf("version %d of the policies was changed in the store: its digest is %s", head.Number, got)
	}
	set, err := Compile(v.Files)
	if err != nil {
		return nil, fmt.Errorf("version %d of the policies: %w", head.Number, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.compiled) >= maxCompiled {
		clear(e.compiled)
	}
	e.compiled[head] = set
	return set, nil
}

// refusal says why not.
func (v *Verdict) refusal() error {
	if f, failed := v.failure(); failed {
		return fmt.Errorf("%w: %s: %.200s", ErrFailed, f.Rule, f.Message)
	}
	if v.forbidden() {
		return fmt.Errorf("%w: %.200s", ErrForbidden, strings.Join(v.rulesOf(), " "))
	}
	return ErrDenied
}

// maxReasons is how many policies an event names.
const maxReasons = 8

// reasonPrefix begins the codes of an event that say which version of the policies decided,
// and which policies of it.
const reasonPrefix = "policy/"

// reasons returns the codes of a decision: the version, or each policy that determined it.
func reasons(number int64, ids []string) []string {
	version := reasonPrefix + strconv.FormatInt(number, 10)
	if len(ids) == 0 {
		return []string{version}
	}
	var codes []string
	for _, id := range ids[:min(len(ids), maxReasons)] {
		codes = append(codes, version+"/"+id)
	}
	return codes
}

// ParseReasons returns the version of the policies that an event names among its codes, and
// the policies. Otherwise the version is 0.
func ParseReasons(codes []string) (number int64, ids []string) {
	for _, c := range codes {
		rest, ok := strings.CutPrefix(c, reasonPrefix)
		if !ok {
			continue
		}
		version, id, named := strings.Cut(rest, "/")
		n, err := strconv.ParseInt(version, 10, 64)
		if err != nil {
			continue
		}
		if number = n; named {
			ids = append(ids, id)
		}
	}
	return number, ids
}
