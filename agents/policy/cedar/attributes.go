package cedar

import (
	"net/netip"
	"slices"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// decided are the actions that policies decide: those that give an agent a credential. The
// registry alone decides the others.
var decided = []audit.Action{audit.TokenMint, audit.CertificateIssue}

// The types of entities.
const (
	typeAgent    cedar.EntityType = "Agent"
	typeOwner    cedar.EntityType = "Owner"
	typeRole     cedar.EntityType = "Role"
	typeLabel    cedar.EntityType = "Label"
	typeAudience cedar.EntityType = "Audience"
	typeProfile  cedar.EntityType = "Profile"
	typeName     cedar.EntityType = "Name"
	typeAction   cedar.EntityType = "Action"
)

func actionUID(a audit.Action) cedar.EntityUID {
	return cedar.NewEntityUID(typeAction, cedar.String(a))
}

// An attribute is something that policies may read of a T. The schema and the entities are
// made from these.
type attribute[T any] struct {
	name     cedar.String
	kind     string // its type in Cedar
	optional bool
	only     audit.Action // the only action that has it; "" means all
	meaning  string
	of       func(T) cedar.Value // nil if it is not there
}

// agentAttributes are those of an agent. All of them come from the registry.
var agentAttributes = []attribute[*Request]{
	{name: "owner", kind: "String", meaning: "who answers for it", of: func(r *Request) cedar.Value { return cedar.String(r.Agent.Owner) }},
	{name: "purpose", kind: "String", optional: true, meaning: "what it is for", of: func(r *Request) cedar.Value { return text(r.Agent.Purpose) }},
	{name: "roles", kind: "Set<String>", meaning: "its roles, without those that have ended or were removed", of: func(r *Request) cedar.Value { return set(r.Roles) }},
	{name: "created", kind: "datetime", meaning: "when it was registered", of: func(r *Request) cedar.Value { return cedar.NewDatetime(r.Agent.Created) }},
	{name: "expires", kind: "datetime", optional: true, meaning: "when it ends", of: func(r *Request) cedar.Value { return datetime(r.Agent.Expires) }},
}

// contextAttributes are those of one question about a request.
var contextAttributes = []attribute[*question]{
	{name: "scope", kind: "String", only: audit.TokenMint, meaning: "one scope of the token", of: func(q *question) cedar.Value { return cedar.String(q.scope) }},
	{name: "audience", kind: "String", only: audit.TokenMint, meaning: "one audience of the token, which is the resource, too", of: func(q *question) cedar.Value { return cedar.String(q.audience) }},
	{name: "profile", kind: "String", only: audit.CertificateIssue, meaning: "the profile of the certificate", of: func(q *question) cedar.Value { return cedar.String(q.Profile) }},
	{name: "peer", kind: "ipaddr", optional: true, meaning: "the network address of the client; not there if the request did not come over the network", of: func(q *question) cedar.Value { return address(q.Peer) }},
	{name: "proof", kind: "String", optional: true, meaning: "how the client proved who it is: client_certificate, forwarded_client_certificate, expired_client_certificate, private_key_jwt, enrollment_token, acme_order or operator", of: func(q *question) cedar.Value { return text(q.Proof) }},
	{name: "time", kind: "datetime", meaning: "when it is decided, by the authority's clock", of: func(q *question) cedar.Value { return cedar.NewDatetime(q.Time) }},
	{name: "hour", kind: "Long", meaning: "0 to 23, in the zone of policy.zone in brevet.yaml", of: func(q *question) cedar.Value { return cedar.Long(q.local.Hour()) }},
	{name: "minute_of_day", kind: "Long", meaning: "0 to 1439, in that zone; 540 is 09:00", of: func(q *question) cedar.Value { return cedar.Long(60*q.local.Hour() + q.local.Minute()) }},
	{name: "weekday", kind: "Long", meaning: "1 (Monday) to 7 (Sunday), in that zone", of: func(q *question) cedar.Value { return cedar.Long((q.local.Weekday()+6)%7 + 1) }},
	{name: "risk", kind: "Long", optional: true, meaning: "0 to 100; not there yet: no part of brevet judges it", of: func(*question) cedar.Value { return nil }},
}

// nameAttributes are those of a name in a certificate.
var nameAttributes = []attribute[agents.Identifier]{
	{name: "type", kind: "String", meaning: "dns or ip", of: func(i agents.Identifier) cedar.Value { return cedar.String(i.Type) }},
}

// record returns the attributes of v that are there for an action.
func record[T any](all []attribute[T], a audit.Action, v T) cedar.Record {
	m := make(cedar.RecordMap, len(all))
	for _, one := range all {
		if one.only != "" && one.only != a {
			continue
		}
		if value := one.of(v); value != nil {
			m[one.name] = value
		}
	}
	return cedar.NewRecord(m)
}

// agentEntity returns the agent of a request as the registry has it. Its labels are its parents
// and its tags.
func agentEntity(r *Request) cedar.Entity {
	a := &r.Agent
	e := cedar.Entity{UID: cedar.NewEntityUID(typeAgent, cedar.String(a.Name)), Attributes: record(agentAttributes, "", r)}
	parents := make([]cedar.EntityUID, 0, 1+len(r.Roles)+len(a.Labels))
	for _, role := range r.Roles {
		parents = append(parents, cedar.NewEntityUID(typeRole, cedar.String(role)))
	}
	if a.Owner != "" {
		parents = append(parents, cedar.NewEntityUID(typeOwner, cedar.String(a.Owner)))
	}
	tags := make(cedar.RecordMap, len(a.Labels))
	for k, v := range a.Labels {
		parents = append(parents, cedar.NewEntityUID(typeLabel, cedar.String(k+"="+v)))
		tags[cedar.String(k)] = cedar.String(v)
	}
	e.Parents, e.Tags = cedar.NewEntityUIDSet(parents...), cedar.NewRecord(tags)
	return e
}

// nameEntity returns a name of a certificate, which is in the profile asked for.
func nameEntity(i agents.Identifier, profile string) cedar.Entity {
	return cedar.Entity{
		UID:        cedar.NewEntityUID(typeName, cedar.String(i.Value)),
		Parents:    cedar.NewEntityUIDSet(cedar.NewEntityUID(typeProfile, cedar.String(profile))),
		Attributes: record(nameAttributes, "", i),
	}
}

func text(s string) cedar.Value {
	if s == "" {
		return nil
	}
	return cedar.String(s)
}

func datetime(t time.Time) cedar.Value {
	if t.IsZero() {
		return nil
	}
	return cedar.NewDatetime(t)
}

func set[S ~string](list []S) cedar.Value {
	values := make([]cedar.Value, 0, len(list))
	for _, s := range list {
		values = append(values, cedar.String(s))
	}
	return cedar.NewSet(values...)
}

// address returns a network address. An IPv4 address in an IPv6 one is that IPv4 address.
func address(s string) cedar.Value {
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return nil
	}
	ip = ip.Unmap().WithZone("")
	return cedar.IPAddr(netip.PrefixFrom(ip, ip.BitLen()))
}

// Decides reports whether policies decide an action.
func Decides(a audit.Action) bool { return slices.Contains(decided, a) }
