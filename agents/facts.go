package agents

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// Facts are what the registry says about an agent in one transaction.
type Facts struct {
	Agent    Agent
	Roles    []HeldRole // all on record; [Facts.Holdings] says what they give
	Cutoff   Cutoff     // the latest that covers all that the agent holds; otherwise zero
	Versions Versions
}

// Clone returns a copy that shares nothing with f: those that ReadFacts returns share
// maps and slices with the registry's cache.
func (f Facts) Clone() Facts {
	a := &f.Agent
	a.Labels, a.Scopes, a.Audiences = maps.Clone(a.Labels), slices.Clone(a.Scopes), slices.Clone(a.Audiences)
	a.Identifiers, a.Pending, a.Binding = slices.Clone(a.Identifiers), bytes.Clone(a.Pending), bytes.Clone(a.Binding)
	a.Keys, a.Quotas, a.KeyDates = slices.Clone(a.Keys), maps.Clone(a.Quotas), maps.Clone(a.KeyDates)
	a.FormerKeys, a.Roles, a.Grants = slices.Clone(a.FormerKeys), slices.Clone(a.Roles), slices.Clone(a.Grants)
	f.Roles = slices.Clone(f.Roles)
	for i := range f.Roles {
		r := &f.Roles[i].Role
		r.Scopes, r.Audiences, r.Details = slices.Clone(r.Scopes), slices.Clone(r.Audiences), slices.Clone(r.Details)
	}
	for i, k := range a.Keys {
		a.Keys[i] = bytes.Clone(k)
	}
	if a.RenewGrace != nil {
		a.RenewGrace = new(*a.RenewGrace)
	}
	if a.KeyMaxAge != nil {
		a.KeyMaxAge = new(*a.KeyMaxAge)
	}
	return f
}

// Versions change whenever one of the records changes from which facts were read.
// A decision on a snapshot compares them again in the transaction that writes. They
// are the stored records themselves, which reading has at hand.
type Versions struct{ agent, cutoff, owner, roles string }

// String returns a short name for the versions, for logs.
func (v Versions) String() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{v.agent, v.cutoff, v.owner, v.roles}))
	return hex.EncodeToString(sum[:8])
}

// GoString keeps the records out of what is printed.
func (v Versions) GoString() string { return v.String() }

// ReadFacts returns what the registry says about the agent, or [ErrUnknown].
func ReadFacts(tx storage.Tx, n Name) (Facts, error) {
	var f Facts
	var err error
	f.Agent, f.Versions.agent, err = table.Read(tx, string(n))
	if errors.Is(err, storage.ErrNotFound) {
		return f, fmt.Errorf("%w: %s", ErrUnknown, n)
	}
	if err == nil {
		f.Roles, f.Versions.roles, err = f.Agent.readRoles(tx)
	}
	if err != nil {
		return f, err
	}
	if err := f.cutoff(tx, "agent/"+string(n), &f.Versions.cutoff); err != nil {
		return f, err
	}
	return f, f.cutoff(tx, "owner/"+f.Agent.Owner, &f.Versions.owner)
}

// Standing is [NewStanding] for the transaction that f was read in. It does not read
// again what f says.
func (f Facts) Standing(tx storage.Tx, now time.Time) *Standing {
	s := NewStanding(tx, now)
	if n := f.Agent.Name; n != "" {
		agent := f.Agent
		s.agents.put(n, &known{agent: &agent})
		s.cutoffs.put(n, f.Cutoff)
	}
	return s
}

// cutoff adds a cutoff that covers what the agent holds.
func (f *Facts) cutoff(tx storage.Tx, what string, version *string) error {
	c, raw, err := cutoffs.Read(tx, what)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if *version = raw; err == nil && c.At.After(f.Cutoff.At) {
		f.Cutoff = c
	}
	return nil
}
