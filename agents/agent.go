// Package agents is the registry and the root of the domain: it knows the
// agents, their owners, their names and permissions, and the time at which their
// credentials died.
//
// An operator registers an agent. The agent enrolls once with a one-time token
// and holds credentials (certificates and tokens, each a [Credential]) that
// other packages make. Revocation is one fact, a [Cutoff]: credentials issued
// at or before it are dead. [Standing] computes from the registry and the
// cutoffs whether a credential may still be used; CRLs, introspection and
// renewals all ask it, so they cannot disagree.
//
// The functions work within the caller's transaction; package policy records
// them in the audit log.
package agents

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
)

// A State is where an agent stands in its life.
type State string

const (
	Active         State = "active"
	Suspended      State = "suspended"      // until resumed
	Decommissioned State = "decommissioned" // for good
)

// An Agent is a registered identity: a workload, a resource server, a device.
// It is stored as JSON: fields may be added, and none changes its meaning.
type Agent struct {
	Name        Name              `json:"name"`
	State       State             `json:"state"`
	Owner       string            `json:"owner"`
	Purpose     string            `json:"purpose,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Scopes      []Scope           `json:"scopes,omitempty"`
	Audiences   []string          `json:"audiences,omitempty"`
	Roles       []RoleName        `json:"roles,omitempty"`  // for good; see [Holdings]
	Grants      []Grant           `json:"grants,omitempty"` // what it has until an instant
	Identifiers []Identifier      `json:"identifiers,omitempty"`
	TTL         time.Duration     `json:"ttl,omitempty"`     // lifetime of its credentials; 0 means the profile's
	Expires     time.Time         `json:"expires,omitzero"`  // no credential outlives this
	Keys        []PublicKey       `json:"keys,omitempty"`    // for private_key_jwt, beside the certificate's
	Quotas      map[string]int64  `json:"quotas,omitempty"`  // its own, by the names of their kinds
	Pending     []byte            `json:"pending,omitempty"` // hash of the one enrollment token that may be used
	Binding     []byte            `json:"binding,omitempty"` // hash of the one key identifier that an ACME account may be bound with
	Invited     time.Time         `json:"invited,omitzero"`  // when these two were made; zero in records of earlier versions
	Created     time.Time         `json:"created"`
	Changed     time.Time         `json:"changed"`

	// RenewGrace is for how long after its end a certificate may still renew; nil means the
	// authority's.
	RenewGrace *time.Duration `json:"renew_grace,omitempty"`

	// KeyMaxAge is how old its keys may get; nil means what the authority says, and 0 that
	// their age does not matter.
	KeyMaxAge *time.Duration `json:"key_max_age,omitempty"`
	// KeyDates says when each of Keys was registered, by its SHA-256 in hexadecimal: see
	// [KeySince].
	KeyDates map[string]time.Time `json:"key_dates,omitempty"`
	// FormerKeys are the latest keys that were registered and are not any more, so that one that
	// is registered again is no younger for it.
	FormerKeys []FormerKey `json:"former_keys,omitempty"`
}

// table holds the agents by name. Each request reads one or two of them; only
// operators change them.
var table = storage.NewMemo(storage.Table[Agent]("agents"))

var (
	// ErrUnknown says that no agent has this name.
	ErrUnknown = NewRefusalOf(Proof, "agent_unknown", "no such agent", nil)
	// ErrNotActive says that an agent is suspended, decommissioned or past its expiry.
	ErrNotActive = NewRefusalOf(Proof, "agent_not_active", "agent is not active", nil)
	// ErrTransition says that an agent cannot go from its state to the one asked for.
	ErrTransition = NewRefusal("agent_state", "not possible in this state", nil)
)

// Get returns the agent, whatever its state, or [ErrUnknown]. Its maps and
// slices are shared: a change makes new ones.
func Get(tx storage.Tx, n Name) (Agent, error) {
	a, err := shared(tx, n)
	return *a, err
}

// shared is Get without a copy: an Agent is large. The caller changes nothing. An error comes
// with a zero Agent.
func shared(tx storage.Tx, n Name) (*Agent, error) {
	a, err := table.Shared(tx, string(n))
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("%w: %s", ErrUnknown, n)
	}
	if a == nil {
		a = new(Agent)
	}
	return a, err
}

// All yields the agents in the order of their names, and the authority itself. For
// operators see [Operators].
func All(tx storage.Tx) iter.Seq2[Agent, error] {
	return func(yield func(Agent, error) bool) {
		for a, err := range table.Scan(tx, "") {
			if _, person := a.Name.Person(); !person && !yield(a, err) {
				return
			}
		}
	}
}

// Usable returns nil if the agent may hold and obtain credentials at now.
func (a Agent) Usable(now time.Time) error {
	switch {
	case a.State != Active:
		return fmt.Errorf("%w: %s is %s", ErrNotActive, a.Name, a.State)
	case a.expired(now):
		return fmt.Errorf("%w: %s expired at %s", ErrNotActive, a.Name, a.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

func (a Agent) expired(now time.Time) bool { return !a.Expires.IsZero() && !now.Before(a.Expires) }

// end is the expiry of the agent as a cutoff.
func (a Agent) end() Cutoff { return Cutoff{At: a.Expires, Reason: CessationOfOperation} }

func (a Agent) check() error {
	if a.Owner == "" {
		return fmt.Errorf("%w agent %s: it needs an owner, somebody who answers for it", ErrInvalid, a.Name)
	}
	for what, text := range map[string]string{"owner": a.Owner, "purpose": a.Purpose} {
		if err := CheckText(text); err != nil {
			return fmt.Errorf("%w %s of agent %s: %v", ErrInvalid, what, a.Name, err)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
		if err := CheckLabel(k, a.Labels[k]); err != nil {
			return err
		}
	}
	if err := CheckTTL(a.TTL); err != nil {
		return err
	}
	if err := CheckRenewGrace(a.RenewGraceOf(0)); err != nil {
		return err
	}
	if err := CheckKeyMaxAge(a.KeyMaxAgeOf(0)); err != nil {
		return err
	}
	if len(a.Labels) > 64 || len(a.Scopes) > 64 || len(a.Audiences) > 64 || len(a.Identifiers) > 64 || len(a.Keys) > 8 {
		return fmt.Errorf("%w agent %s: at most 64 labels, scopes, audiences and names, and 8 keys", ErrInvalid, a.Name)
	}
	if len(a.roleNames()) > maxRoles || len(a.Grants) > maxGrants {
		return fmt.Errorf("%w agent %s: at most %d roles, and %d grants that end; those that have ended count until you take them away with --until now", ErrInvalid, a.Name, maxRoles, maxGrants)
	}
	return nil
}

// maxRoles is how many an agent may have, because each decision reads all of them.
const maxRoles = 16

// CheckLabel refuses a label that no agent can have.
func CheckLabel(k, v string) error {
	if k == "" || len(k) > 63 || strings.Trim(k, "abcdefghijklmnopqrstuvwxyz0123456789-._/") != "" {
		return fmt.Errorf("%w label %q: keys have 1 to 63 of a-z, 0-9 and -._/", ErrInvalid, clip(k))
	}
	if err := CheckText(v); err != nil {
		return fmt.Errorf("%w label %s: %v", ErrInvalid, k, err)
	}
	return nil
}

// CheckTTL refuses a lifetime that no agent can have. 0 means the profile's.
func CheckTTL(d time.Duration) error {
	if d < 0 || d > 0 && d < time.Minute {
		return fmt.Errorf("%w ttl %s: want a minute or more", ErrInvalid, clock.FormatDuration(d))
	}
	return nil
}

// CheckText accepts text that prints on one line.
func CheckText(s string) error {
	if len(s) > 256 || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("want at most 256 bytes of printable text on one line")
	}
	return nil
}
