package api

import "time"

// Details tell programs what the reasons of an event tell people.
// docs/audit-events.md lists the details of each action's events.
type Details struct {
	Scopes    []string  `json:"scopes,omitempty"`
	Audiences []string  `json:"audiences,omitempty"`
	Names     []string  `json:"names,omitempty"` // DNS names and addresses
	Profile   string    `json:"profile,omitempty"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	Lifetime  int64     `json:"lifetime,omitempty"` // in seconds

	Peer          string `json:"peer,omitempty"` // network address
	Principal     string `json:"principal,omitempty"`
	Person        string `json:"person,omitempty"`
	Proof         string `json:"proof,omitempty"`          // how the actor authenticated, as a code
	KeyThumbprint string `json:"key_thumbprint,omitempty"` // SHA-256 of the public key, in hex
	Certificate   string `json:"certificate,omitempty"`    // serial of the certificate that the actor authenticated with or that a token is bound to, in hex

	Selection *Selected `json:"selection,omitempty"`
	Counts    *Counts   `json:"counts,omitempty"`

	Change []FieldChange `json:"change,omitempty"`
	From   string        `json:"from,omitempty"`
	To     string        `json:"to,omitempty"`
	File   string        `json:"file,omitempty"`
	Size   int64         `json:"size,omitempty"` // in octets

	Codes []string `json:"codes,omitempty"` // the decision's reasons for programs
	Chain []string `json:"chain,omitempty"` // those who delegated to the actor, the first of them first

	Agents []string `json:"agents,omitempty"` // those that an operation on many touched
	Proxy  string   `json:"proxy,omitempty"`  // the agent that forwarded the client's certificate (RFC 9440)
	Trace  string   `json:"trace,omitempty"`  // trace-id of the request (W3C Trace Context), chosen by the client
	Part   int64    `json:"part,omitempty"`   // of an event that goes on with the agents of an earlier one, from 1
}

// Selected says by what an operator chose credentials.
type Selected struct {
	Agent        string    `json:"agent,omitempty"`
	Owner        string    `json:"owner,omitempty"`
	Labels       []string  `json:"labels,omitempty"` // "key=value"
	Issuer       string    `json:"issuer,omitempty"`
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	IssuedSince  time.Time `json:"issued_since,omitzero"`
	Role         string    `json:"role,omitempty"`
}

// Counts say how many of each were ended, or how many requests were refused.
type Counts struct {
	Agents       int64 `json:"agents,omitempty"`
	Certificates int64 `json:"certificates,omitempty"`
	Tokens       int64 `json:"tokens,omitempty"`
	Accounts     int64 `json:"accounts,omitempty"`    // of ACME
	Refusals     int64 `json:"refusals,omitempty"`    // that one event stands for
	Enrollments  int64 `json:"enrollments,omitempty"` // enrollment tokens that were not used
	Bindings     int64 `json:"bindings,omitempty"`    // ACME keys that were not used
}

// A FieldChange is a field of an agent with its old and its new value.
type FieldChange struct {
	Field string `json:"field"`
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
}
