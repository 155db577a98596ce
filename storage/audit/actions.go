package audit

import (
	"slices"
	"strings"
)

// An Action is what somebody asked for: noun.verb. Package audit knows all of
// them, see [Actions].
type Action string

// The actions. They are stored, so none is renamed.
const (
	CertificateIssue  Action = "certificate.issue"
	CertificateRevoke Action = "certificate.revoke"
	CredentialRevoke  Action = "credential.revoke"
	TokenMint         Action = "token.mint"
	TokenRevoke       Action = "token.revoke"
	TokenIntrospect   Action = "token.introspect"

	AgentAdd          Action = "agent.add"
	AgentReenroll     Action = "agent.reenroll"
	AgentSet          Action = "agent.set"
	AgentResume       Action = "agent.resume"
	AgentSuspend      Action = "agent.suspend"
	AgentDecommission Action = "agent.decommission"
	AgentKeyReplace   Action = "agent.key.replace"

	RoleAdd    Action = "role.add"
	RoleSet    Action = "role.set"
	RoleRemove Action = "role.remove"

	ACMEAccountCreate           Action = "acme.account.create"
	ACMEAccountUpdate           Action = "acme.account.update"
	ACMEAccountKey              Action = "acme.account.key"
	ACMEAccountDeactivate       Action = "acme.account.deactivate"
	ACMEOrder                   Action = "acme.order"
	ACMEChallenge               Action = "acme.challenge"
	ACMEAuthorizationDeactivate Action = "acme.authorization.deactivate"
	ACMERequest                 Action = "acme.request"

	PolicyApply  Action = "policy.apply"
	PolicyRemove Action = "policy.remove"

	OperatorAdd      Action = "operator.add"
	OperatorEnroll   Action = "operator.enroll"
	OperatorSet      Action = "operator.set"
	OperatorRemove   Action = "operator.remove"
	OperatorConnect  Action = "operator.connect"
	OperatorPasskey  Action = "operator.passkey"
	OperatorUnkey    Action = "operator.passkey.remove"
	OperatorSuspend  Action = "operator.suspend"
	OperatorResume   Action = "operator.resume"
	OperatorUseToken Action = "operator.token"

	KeyDestroy         Action = "key.destroy"
	KeyCompromise      Action = "key.compromise"
	KeyAnnounce        Action = "key.announce"
	KeyCancel          Action = "key.cancel"
	KeyRequest         Action = "key.request"
	KeyInstall         Action = "key.install"
	KeyRotate          Action = "key.rotate"
	KeyWithdraw        Action = "key.withdraw"
	AuthorityInit      Action = "authority.init"
	AuthorityRestore   Action = "authority.restore"
	AuthorityConfirm   Action = "authority.confirm"
	AuthorityBackup    Action = "authority.backup"
	AuthorityReaddress Action = "authority.readdress"
	AuditExport        Action = "audit.export"
	HealthChange       Action = "health.change"
	ConfigReload       Action = "config.reload"
	ServerStart        Action = "server.start"
	ClockAccept        Action = "clock.accept"
	ClockStep          Action = "clock.step"
	KeySeal            Action = "key.seal"
)

// A Role is what somebody who acts may be at the authority.
type Role uint8

const (
	Operator Role = 1 << iota // an operator
	Agent                     // an agent that proved who it is
	System                    // the server itself
	Bearer                    // somebody who is known only by what it presented
)

func (r Role) String() string {
	var names []string
	for i, name := range []string{"an operator", "the agent", "`system`", "a bearer"} {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// An ActionSpec documents an action. docs/audit-events.md is made from all of them.
type ActionSpec struct {
	Action  Action
	Meaning string
	By      Role     // the roles that may ask for it; others are refused
	Subject string   // what the subject is
	Details []string // the members of Details that an event may have besides "codes" and "trace", by their JSON names; none in the events of the server itself
}

const agentName = "the agent's name"

// holderName is the subject of what operators have, too.
const holderName = agentName + ", or `operator/NAME` for a certificate of an operator"

// from returns the details of what may come over the network, among them the address
// that it came from and how many refusals were counted together. For operators see shown.
func from(more ...string) []string { return append(more, "peer", "counts") }

// actions is the one table of them.
var actions = shown([]ActionSpec{
	{CertificateIssue, "A certificate was asked for: at an enrollment, a renewal, by ACME, by an operator on behalf of the agent, or by the server for itself. An operator renews their own as the actor `operator:NAME`.",
		Operator | Agent | System | Bearer, holderName, from("names", "profile", "not_after", "lifetime", "key_thumbprint", "proof", "certificate")},
	{CertificateRevoke, "One certificate was to be revoked: by an operator, by its agent, or by ACME with its own key.", Operator | Agent | Bearer, holderName, from()},
	{CredentialRevoke, "A selection of credentials was to be revoked.", Operator, "what was selected by", []string{"selection", "counts", "agents", "part"}},
	{TokenMint, "An access token was asked for. An operator asks for one for themselves as the actor `operator:NAME`.", Agent, agentName + ", or `operator/NAME`", from("scopes", "audiences", "not_after", "lifetime", "proof", "certificate", "proxy")},
	{TokenRevoke, "One token was to be revoked.", Operator | Agent, "the name of the token's agent", from()},
	{TokenIntrospect, "A token was to be introspected, and that was refused. Introspections that are allowed are not recorded.", Agent, "the name of the agent that asked", from()},

	{AgentAdd, "An agent was to be registered.", Operator, agentName, []string{"change"}},
	{AgentReenroll, "An agent was to get a new enrollment token and ACME binding key.", Operator, agentName, nil},
	{AgentSet, "The registration of an agent was to be changed.", Operator, agentName, []string{"change"}},
	{AgentResume, "A suspended agent was to be allowed to obtain credentials again.", Operator, agentName, nil},
	{AgentSuspend, "All that an agent holds was to end, and it was to obtain nothing more until it is resumed.", Operator, agentName, []string{"counts"}},
	{AgentDecommission, "An agent was to end for good.", Operator, agentName, []string{"counts"}},

	{AgentKeyReplace, "A registered key was to take the place of another one, at the agent's request, which both keys signed. The old one ends.", Agent | Bearer, agentName, from("change", "key_thumbprint", "proof")},

	{RoleAdd, "A role was to be made, which gives agents scopes, audiences and types of authorization_details.", Operator, "the role's name", []string{"change"}},
	{RoleSet, "What a role gives was to be changed, for all agents that have it.", Operator, "the role's name", []string{"change"}},
	{RoleRemove, "A role was to be removed, and to give nothing any more to the agents that have it.", Operator, "the role's name", []string{"change", "counts"}},

	{ACMEAccountCreate, "An ACME account was to be opened for an agent.", Bearer, agentName, from("key_thumbprint")},
	{ACMEAccountUpdate, "The contacts of an ACME account were to be changed.", Agent, agentName, from()},
	{ACMEAccountKey, "An ACME account was to get a new key.", Agent, agentName, from("key_thumbprint")},
	{ACMEAccountDeactivate, "An ACME account was to be deactivated.", Agent, agentName, from()},
	{ACMEOrder, "An ACME order was refused. An order that is accepted is not recorded, but its certificate is.", Agent, agentName, from("names", "profile")},
	{ACMEChallenge, "An ACME challenge was validated, or could not be.", Agent, agentName, from("names")},
	{ACMEAuthorizationDeactivate, "An ACME authorization was to be deactivated.", Agent, agentName, from("names")},
	{ACMERequest, "A request by ACME was refused because of the account or its agent.", Agent | Bearer, agentName, from()},

	{PolicyApply, "Policies were to be put into force, as a new version of them. The changes have its number and its SHA-256, beside those of the version before.", Operator, "`brevet`", []string{"change", "size"}},
	{PolicyRemove, "The policies in force were to be taken away, so that the registry alone decides.", Operator, "`brevet`", []string{"change"}},

	{OperatorAdd, "A person was to become an operator who has certificates, in the role \"to\". The change names what they get: an `enrollment_token` or a `passkey_link`.", Operator, "the operator's name", []string{"to", "change"}},
	{OperatorEnroll, "An operator was to get a new enrollment token, or a link to register a passkey. The change names it, as at `operator.add`.", Operator, "the operator's name", []string{"change"}},
	{OperatorSet, "The role of an operator was to be changed.", Operator, "the operator's name", []string{"from", "to"}},
	{OperatorRemove, "An operator and their certificates were to end for good.", Operator, "the operator's name", []string{"counts"}},
	{OperatorConnect, "A client showed the certificate of an operator or an agent at `listen_admin`, and was refused. It may not have proven to have the key. Connections that are allowed are not recorded.", Bearer, holderName, from()},
	{OperatorPasskey, "An operator was to register the passkey \"to\", by a link.", Bearer, "`operator/NAME`", from("to")},
	{OperatorUnkey, "The passkey \"from\" of an operator was to end.", Operator, "the operator's name", []string{"from"}},
	{OperatorSuspend, "An operator with a name was to do nothing more until they are resumed, and their certificates were to end.", Operator, "the operator's name", []string{"counts"}},
	{OperatorResume, "A suspended operator was to be allowed to operate again.", Operator, "the operator's name", nil},

	{OperatorUseToken, "A token was presented to the operators' API that could not be used there. An action that is done by a usable token has its own event, with the proof `operator_token`.", Operator, "the name of the operator whose certificate was shown, or the trust domain", nil},

	{KeyCompromise, "A key was to count as stolen, so that all that it signed is dead, and a new one was to take its place. Without a root at hand, the new issuer waits for its certificate.", Operator, "the key's purpose", []string{"from", "to", "change", "counts", "agents", "part"}},
	{KeyAnnounce, "A new key was to be published, which takes the place of the old one once nobody has an older copy of the public keys: by an operator, or by the server when the old key is due.", Operator | System, "the key's purpose", []string{"from", "to", "change"}},
	{KeyCancel, "A key that was announced, or that waited for a certificate of its root, was to be given up. It is destroyed at once, or a little later if it is an issuer whose CRL was published.", Operator, "the key's purpose", []string{"from"}},
	{KeyRequest, "A root whose key is kept elsewhere was to be asked to sign: its CRL, and the certificate of a new issuer. The server makes the key of the new issuer when the old one is due.", Operator | System, "the key's purpose", []string{"from", "to", "change"}},
	{KeyInstall, "What a root has signed elsewhere was to be put to work: its CRLs, and the certificate of a new issuer.", Operator, "the key's purpose", []string{"from", "to", "change"}},
	{KeyRotate, "A new key took the place of an old one, or was to: by an operator, or by the server when the old key was due, or the new one announced for long enough.", Operator | System, "the key's purpose", []string{"from", "to", "change"}},
	{KeyWithdraw, "One of two roots was to be published no more, and the other one to lead.", Operator, "the key's purpose", []string{"from", "to"}},
	{KeyDestroy, "The private half of a retired key was to be destroyed: by an operator, or by the server when all that it signed was dead.", Operator | System, "the key's purpose", []string{"from", "counts"}},
	{KeySeal, "The passphrase of the key files was set, changed or removed, while the server was stopped. After a crash in the middle there may be two events for one change.", Operator | System, "`brevet`", nil},
	{AuthorityInit, "The authority was made.", Operator | System, "the trust domain", []string{"to", "principal"}},
	{AuthorityRestore, "The store was restored from a backup. This is the first event after those that the backup holds. It names the agents and operators that have no certificate any more and enroll again.", Operator | System, "the trust domain", []string{"file", "size", "principal", "agents", "part"}},
	{AuthorityConfirm, "An operator said that all is ended again that must stay ended after a restore.", Operator, "the trust domain", nil},
	{AuditExport, "An operator exported the audit log, or a part of it, from an entry on.", Operator, "the trust domain", nil},
	{AuthorityBackup, "A copy of the store was sent to an operator, or was to be. There is another event when the operator has confirmed that it arrived.", Operator, "the trust domain", []string{"size"}},
	{AuthorityReaddress, "The authority was to move to another URL, by an operator; or the server gave up the name of a former one that nothing needs any more.", Operator | System, "`brevet`", []string{"from", "to"}},
	{HealthChange, "The level of a reason in `brevet status` changed. The event has details if the store has any already; the code is the identifier of the reason.", System, "`brevet`", []string{"from", "to"}},
	{ConfigReload, "The running server followed a changed brevet.yaml. The changes name the keys, without values.", Operator | System, "`brevet`", []string{"change"}},
	// These have no details on purpose: earlier versions refuse events that have
	// any, and the way back to them stays open until somebody acts.
	{ServerStart, "The server started.", System, "`brevet`", nil},
	{ClockAccept, "An operator said at the start that the machine's clock is right, against what is on record.", Operator | System, "`brevet`", nil},
	{ClockStep, "The machine's clock stepped.", System, "`brevet`", nil},
})

// shown adds what the events of operators have who came over the network by a certificate.
// Some actions are those of programs in the authority's directory alone.
func shown(all []ActionSpec) []ActionSpec {
	for i, a := range all {
		if a.By&Operator == 0 || slices.Contains([]Action{AuthorityInit, AuthorityRestore, ClockAccept}, a.Action) {
			continue
		}
		for _, d := range []string{"peer", "proof", "certificate"} {
			if !slices.Contains(a.Details, d) {
				all[i].Details = append(slices.Clip(all[i].Details), d)
			}
		}
	}
	return all
}

// Allows reports whether somebody in the role may ask for this action at all.
// Package policy decides what is granted.
func (a Action) Allows(r Role) bool { return known[a]&r != 0 }

// Grants reports whether the action grants a credential, which only an agent can
// have. So does an action that is not in the table: nobody gets more by a mistake.
func (a Action) Grants() bool { return a == CertificateIssue || a == TokenMint || known[a] == 0 }

// Actions returns all actions with what they mean.
func Actions() []ActionSpec { return slices.Clone(actions) }

// known says who may ask for each action.
var known = func() map[Action]Role {
	m := make(map[Action]Role, len(actions))
	for _, a := range actions {
		m[a.Action] = a.By
	}
	return m
}()
