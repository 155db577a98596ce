package authority

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

// A replay applies to a backup what was ended after it. It never gives anything back but a
// resumed agent or operator that it suspended itself.
type replay struct {
	tx        storage.Tx
	td        agents.TrustDomain
	grace     time.Duration         // the authority's window, see [agents.Agent.RenewGraceOf]
	keyAges   agents.KeyMaxAges     // the authority's limits
	quotas    agents.Quotas         // of agents that have none of their own
	suspended map[agents.Name]bool  // by the replay
	stopped   map[persons.Name]bool // operators, likewise

	applied   []string
	forgotten []string // agents and operators that the backup does not know
	lostRoots []string // likewise

	lostPolicies policies.Head  // the version in force that the backup does not know, or zero
	policies     *policies.Head // those of the backup, while another version is in force
}

// replayed has what is applied again, by action. A function reports whether it changed
// anything.
var replayed = map[audit.Action]func(*replay, audit.Event) (bool, error){
	audit.AgentSuspend:          (*replay).suspend,
	audit.AgentResume:           (*replay).resume,
	audit.AgentDecommission:     (*replay).decommission,
	audit.OperatorAdd:           (*replay).noteOperator,
	audit.OperatorSet:           (*replay).limitOperator,
	audit.OperatorRemove:        (*replay).removeOperator,
	audit.OperatorUnkey:         (*replay).removePasskey,
	audit.OperatorSuspend:       (*replay).suspendOperator,
	audit.OperatorResume:        (*replay).resumeOperator,
	audit.AgentSet:              (*replay).takeAway,
	audit.AgentKeyReplace:       (*replay).takeAway,
	audit.RoleSet:               (*replay).narrowRole,
	audit.RoleRemove:            (*replay).removeRole,
	audit.AgentAdd:              (*replay).note,
	audit.CertificateRevoke:     (*replay).revoke,
	audit.TokenRevoke:           (*replay).revoke,
	audit.CredentialRevoke:      (*replay).revokeSelection,
	audit.ACMEAccountKey:        (*replay).endAgent,
	audit.ACMEAccountDeactivate: (*replay).endAgent,
	audit.KeyCompromise:         (*replay).compromise,
	audit.KeyWithdraw:           (*replay).withdraw,
	audit.KeyAnnounce:           (*replay).noteRoot,
	audit.KeyRotate:             (*replay).noteRoot,
	audit.PolicyApply:           (*replay).losePolicies,
	audit.PolicyRemove:          (*replay).returnPolicies,
}

// all applies events in their order. It passes over what the backup does not know and what
// has ended in it already.
func (r *replay) all(events []audit.Event) error {
	for _, e := range events {
		changed, err := replayed[e.Action](r, e)
		switch {
		case errors.Is(err, storage.ErrNotFound), policy.IsDenial(err):
			continue
		case err != nil:
			return fmt.Errorf("applying entry %d, %s %s, again: %w", e.Seq, e.Action, e.Subject, err)
		case changed:
			r.applied = append(r.applied, strings.TrimSpace(string(e.Action)+" "+cmp.Or(e.Credential, e.Subject)))
		}
	}
	return nil
}

func (r *replay) suspend(e audit.Event) (bool, error) {
	n := agents.Name(e.Subject)
	before, err := agents.Get(r.tx, n)
	if err != nil {
		return false, err
	}
	_, err = agents.Suspend(r.tx, n, reasonOf(e), e.Time)
	if err == nil && before.State == agents.Active {
		r.suspended[n] = true
	}
	return err == nil, err
}

func (r *replay) suspendOperator(e audit.Event) (bool, error) {
	n := persons.Name(e.Subject)
	_, changed, err := persons.Suspend(r.tx, n, e.Time)
	if changed {
		r.stopped[n] = true
	}
	return changed, err
}

// noteOperator remembers an operator who was added after the backup.
func (r *replay) noteOperator(e audit.Event) (bool, error) {
	on, err := persons.Get(r.tx, persons.Name(e.Subject))
	if err == nil && on.Added.IsZero() {
		r.forgotten = append(r.forgotten, agents.OperatorName(e.Subject).String())
	}
	if err != nil {
		return false, err
	}
	_, err = r.limitOperator(e) // brevet.yaml may give the same person a greater role
	return false, err
}

// limitOperator gives an operator a lesser role again, never a greater one.
func (r *replay) limitOperator(e audit.Event) (bool, error) {
	if e.Details == nil {
		return false, nil
	}
	role, err := persons.ParseRole(e.Details.To)
	if err != nil {
		return false, err
	}
	return persons.Limit(r.tx, persons.Name(e.Subject), role)
}

// removeOperator ends an operator again, also one whom the backup knows by brevet.yaml alone.
func (r *replay) removeOperator(e audit.Event) (bool, error) {
	n := persons.Name(e.Subject)
	_, err := persons.Remove(r.tx, r.td, n, e.Time)
	if errors.Is(err, persons.ErrUnknown) {
		err = persons.RemoveForgotten(r.tx, n, e.Time)
	}
	return err == nil, err
}

func (r *replay) removePasskey(e audit.Event) (bool, error) {
	if e.Details == nil {
		return false, nil
	}
	id, err := strict.Base64(e.Details.From)
	if err != nil {
		return false, nil // nothing of that ID was ever registered
	}
	_, err = persons.RemovePasskey(r.tx, persons.Name(e.Subject), id)
	if errors.Is(err, persons.ErrUnknown) {
		return false, nil
	}
	return err == nil, err
}

func (r *replay) resumeOperator(e audit.Event) (bool, error) {
	if n := persons.Name(e.Subject); r.stopped[n] {
		_, changed, err := persons.Resume(r.tx, n, e.Time)
		return changed, err
	}
	return false, nil
}

// noteRoot remembers a root that was made after the backup.
func (r *replay) noteRoot(e audit.Event) (bool, error) {
	spec, err := Purposes().Of(keys.Purpose(e.Subject))
	if err != nil || spec.Rotation != keys.Overlap || e.Details == nil || slices.Contains(r.lostRoots, e.Details.To) {
		return false, nil
	}
	_, err = keys.Get(r.tx, e.Details.To)
	if errors.Is(err, storage.ErrNotFound) {
		r.lostRoots, err = append(r.lostRoots, e.Details.To), nil
	}
	return false, err
}

// withdraw withdraws a root if the backup knows both. If it does not know the new one, the
// old one is the only root that is left.
func (r *replay) withdraw(e audit.Event) (bool, error) {
	if e.Details == nil {
		return false, nil
	}
	_, changed, err := withdraw(r.tx, e.Details.From, e.Time)
	if errors.Is(err, agents.ErrTransition) {
		return false, nil
	}
	return changed, err
}

// compromise ends what a stolen key signed, even if the backup does not know the key yet.
func (r *replay) compromise(e audit.Event) (bool, error) {
	if e.Details == nil || e.Details.From == "" {
		return false, nil
	}
	if _, err := r.noteRoot(e); err != nil {
		return false, err
	}
	if err := agents.EndIssuer(r.tx, e.Details.From, e.Time); err != nil {
		return false, err
	}
	spec, err := Purposes().Of(keys.Purpose(e.Subject))
	if err != nil || spec.Rotation != keys.Overlap {
		return true, err
	}
	_, err = r.withdraw(e)
	if errors.Is(err, storage.ErrNotFound) {
		err = nil
	}
	return true, err
}

func (r *replay) resume(e audit.Event) (bool, error) {
	if n := agents.Name(e.Subject); r.suspended[n] {
		_, err := agents.Resume(r.tx, n, e.Time)
		return err == nil, err
	}
	return false, nil
}

func (r *replay) decommission(e audit.Event) (bool, error) {
	_, err := agents.Decommission(r.tx, r.td, agents.Name(e.Subject), reasonOf(e), e.Time)
	return err == nil, err
}

// note remembers an agent that was registered after the backup.
func (r *replay) note(e audit.Event) (bool, error) {
	if _, err := agents.Get(r.tx, agents.Name(e.Subject)); errors.Is(err, agents.ErrUnknown) {
		r.forgotten = append(r.forgotten, e.Subject)
	}
	return false, nil
}

// revoke ends one certificate or token.
func (r *replay) revoke(e audit.Event) (bool, error) {
	id, err := agents.ParseCredentialID(e.Credential)
	if err != nil {
		return false, nil // a refusal that was recorded with it says why
	}
	var c agents.Credential
	var key [32]byte // of a certificate
	if e.Action == audit.CertificateRevoke {
		found, err := ca.Get(r.tx, id)
		if c, key = found.Credential, found.KeyHash; errors.Is(err, storage.ErrNotFound) { // it has expired and may renew
			var left agents.Remembered
			left, err = agents.FindRecent(r.tx, agents.Name(e.Subject), id)
			c, key = left.Credential, left.KeyHash
		}
		if err != nil {
			return false, err
		}
	} else {
		found, err := tokens.Get(r.tx, id)
		if err != nil {
			return false, err
		}
		c = found.Credential
	}
	why := agents.Cutoff{At: e.Time, Reason: reasonOf(e)}
	if e.Action == audit.CertificateRevoke {
		err = agents.RevokeKey(r.tx, c, key, why)
	} else {
		err = agents.Revoke(r.tx, c, why)
	}
	return err == nil, err
}

// endAgent ends what an agent held, its ACME account too.
func (r *replay) endAgent(e audit.Event) (bool, error) {
	if _, err := agents.Get(r.tx, agents.Name(e.Subject)); err != nil {
		return false, err
	}
	return true, agents.CutAgent(r.tx, agents.Name(e.Subject), agents.Cutoff{At: e.Time, Reason: agents.Superseded})
}

// revokeSelection ends what the selected agents held. If the selection had a beginning, it
// ends what is older, too: it may end more than the operator chose, never less.
func (r *replay) revokeSelection(e audit.Event) (bool, error) {
	if e.Details == nil {
		return false, nil
	}
	s := e.Details.Selection
	c := agents.Cutoff{At: e.Time, Reason: reasonOf(e)}
	if s == nil { // the event goes on with the agents of an earlier one
		return r.cutNamed(e.Details.Agents, c)
	}
	if !s.IssuedBefore.IsZero() && s.IssuedSince.IsZero() {
		c.Made, c.At = c.At, s.IssuedBefore.Add(time.Second-1) // the log has whole seconds
	}
	// An agent that has had the owner or the label only since the backup is named.
	if _, err := r.cutNamed(e.Details.Agents, c); err != nil {
		return false, err
	}
	if s.Owner != "" && s.Agent == "" && len(s.Labels) == 0 && s.Role == "" {
		return true, agents.CutOwner(r.tx, s.Owner, c)
	}
	chosen, err := named(r.tx, func(a agents.Agent) bool {
		return (s.Agent == "" || s.Agent == string(a.Name)) && (s.Owner == "" || s.Owner == a.Owner) && (s.Role == "" || a.HasRole(agents.RoleName(s.Role))) && hasLabels(a, s.Labels)
	})
	return len(chosen) > 0, errors.Join(err, cutAll(r.tx, chosen, c))
}

// cutNamed ends what those of the agents held that the backup knows.
func (r *replay) cutNamed(names []string, c agents.Cutoff) (cut bool, err error) {
	for _, name := range names {
		a, err := agents.Get(r.tx, agents.Name(name))
		if errors.Is(err, agents.ErrUnknown) {
			continue
		}
		if err == nil {
			err = agents.CutAgent(r.tx, a.Name, c)
		}
		if err != nil {
			return cut, err
		}
		cut = true
	}
	return cut, nil
}

// hasLabels reports whether an agent has all labels, written as KEY=VALUE. The last item of
// a long list may be no label; it chooses no fewer agents.
func hasLabels(a agents.Agent, labels []string) bool {
	for _, l := range labels {
		if k, v, ok := strings.Cut(l, "="); ok && a.Labels[k] != v {
			return false
		}
	}
	return true
}

// reasonOf returns the reason that an operator gave, which is the first of an event.
func reasonOf(e audit.Event) agents.Reason {
	if len(e.Reasons) == 0 {
		return agents.Unspecified
	}
	why, err := agents.ParseReason(e.Reasons[0])
	if err != nil {
		return agents.Unspecified
	}
	return why
}

// named returns the agents that chosen chooses, without the authority itself and operators.
func named(tx storage.Tx, chosen func(agents.Agent) bool) (names []agents.Name, err error) {
	for a, err := range agents.All(tx) {
		if err != nil {
			return nil, err
		}
		if a.Name.OfAgent() && chosen(a) {
			names = append(names, a.Name)
		}
	}
	return names, nil
}

func cutAll(tx storage.Tx, names []agents.Name, c agents.Cutoff) error {
	for _, n := range names {
		if err := agents.CutAgent(tx, n, c); err != nil {
			return err
		}
	}
	return nil
}
