package policy

import (
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Actions of operators that the audit log does not record.
const (
	Read       audit.Action = "read"        // to see what is on record
	PublishCRL audit.Action = "crl.publish" // to have the lists signed again, which changes nothing that they say
)

// needs says which role an operator needs for each action. Nobody may do what is not here.
var needs = map[audit.Action]persons.Role{
	Read:                   persons.Viewer,
	audit.OperatorUseToken: persons.Viewer,

	PublishCRL:              persons.Operator,
	audit.AgentAdd:          persons.Operator,
	audit.AgentReenroll:     persons.Operator,
	audit.CertificateIssue:  persons.Operator,
	audit.CertificateRevoke: persons.Operator,
	audit.TokenRevoke:       persons.Operator,

	audit.AgentSet:          persons.Security,
	audit.RoleAdd:           persons.Security,
	audit.RoleSet:           persons.Security,
	audit.RoleRemove:        persons.Security,
	audit.AgentResume:       persons.Security,
	audit.AgentSuspend:      persons.Security,
	audit.AgentDecommission: persons.Security,
	audit.CredentialRevoke:  persons.Security,
	audit.AuditExport:       persons.Security,
	audit.PolicyApply:       persons.Security,
	audit.PolicyRemove:      persons.Security,

	audit.KeyCompromise:      persons.Admin,
	audit.KeyAnnounce:        persons.Admin,
	audit.KeyCancel:          persons.Admin,
	audit.KeyRequest:         persons.Admin,
	audit.KeyInstall:         persons.Admin,
	audit.KeyRotate:          persons.Admin,
	audit.KeyWithdraw:        persons.Admin,
	audit.KeyDestroy:         persons.Admin,
	audit.AuthorityInit:      persons.Admin,
	audit.AuthorityBackup:    persons.Admin,
	audit.AuthorityRestore:   persons.Admin,
	audit.AuthorityConfirm:   persons.Admin,
	audit.AuthorityReaddress: persons.Admin,
	audit.ClockAccept:        persons.Admin,
	audit.OperatorAdd:        persons.Admin,
	audit.OperatorEnroll:     persons.Admin,
	audit.OperatorSet:        persons.Admin,
	audit.OperatorRemove:     persons.Admin,
	audit.OperatorUnkey:      persons.Admin,
	audit.OperatorSuspend:    persons.Admin,
	audit.OperatorResume:     persons.Admin,
	audit.ConfigReload:       persons.Admin,
	audit.KeySeal:            persons.Admin,
}

var (
	// ErrNotOperator says that a principal is not an operator.
	ErrNotOperator = agents.NewRefusal("not_an_operator", ErrDenied.Error()+": not an operator", ErrDenied)
	// ErrCertificate says that the certificate that an operator showed is revoked or expired.
	ErrCertificate = agents.NewRefusalOf(agents.Proof, "operator_certificate", ErrDenied.Error()+": your certificate cannot be used", ErrNotOperator)
	// ErrToken says that the token that an operator presented cannot be used.
	ErrToken = agents.NewRefusalOf(agents.Proof, "operator_token", ErrDenied.Error()+": your token cannot be used", ErrDenied)
	// ErrOperatorRole says that an operator's role does not allow an action.
	ErrOperatorRole = agents.NewRefusal("operator_role", ErrDenied.Error()+": your role does not allow this", ErrDenied)
)

// MayOperate returns nil if p is an operator whose role allows an action. This is the one
// place that decides it, for the operations that only read and for [Rules.Decide].
func MayOperate(p Principal, a audit.Action) error {
	need := needs[a]
	switch {
	case p.Role&audit.Operator == 0:
		return fmt.Errorf("%w: %s", ErrNotOperator, p.Actor)
	case need == 0:
		return fmt.Errorf("%w: %s is for no operator", ErrOperatorRole, a)
	case !p.Operates.Covers(need):
		return fmt.Errorf("%w: %s needs the role %s, and %s has %s", ErrOperatorRole, a, need, p.Actor, p.Operates)
	}
	return nil
}

// holds says which role lets an operator do what each of the authority's own scopes lets
// an agent do. A scope that is not here is an admin's.
var holds = map[agents.Scope]persons.Role{
	agents.ScopeIntrospect: persons.Viewer,
	agents.ScopeProxy:      persons.Admin, // it may act as every agent whose certificate it has seen
	agents.ScopeAdmin:      persons.Admin,
}

// MayGrant returns nil if p may let somebody act as an agent, by registering it, enrolling it
// or certifying a key of its, with all that it holds in tx. Nobody gets more by an agent than
// by their own role. Grants that have ended count while they are on record.
func MayGrant(tx storage.Tx, p Principal, a agents.Agent) error {
	held, err := agents.HeldEver(tx, &a)
	if err != nil {
		return err
	}
	return MayGrantScopes(p, held.Scopes())
}

// MayGrantScopes is MayGrant for whoever has these scopes.
func MayGrantScopes(p Principal, scopes []agents.Scope) error {
	for _, s := range scopes {
		if !own(s) {
			continue
		}
		need, known := holds[s]
		if !known {
			need = persons.Admin
		}
		if !p.Operates.Covers(need) {
			return fmt.Errorf("%w: an agent with the scope %s needs the role %s, and %s has %s", ErrOperatorRole, s, need, p.Actor, p.Operates)
		}
	}
	return nil
}
