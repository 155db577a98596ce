package api

import (
	"context"
	"time"
)

// Operations on agents.
var (
	AddAgent     = Operation[AddRequest, Invited]{"POST /agents"}
	ListAgents   = Operation[Filter, []Agent]{"GET /agents"}
	ShowAgent    = Operation[Named, Shown]{"GET /agents/{name}"}
	SetAgent     = Operation[SetRequest, Shown]{"PATCH /agents/{name}"}
	Suspend      = Operation[EndRequest, Receipt]{"POST /agents/{name}/suspend"}
	Resume       = Operation[Named, Agent]{"POST /agents/{name}/resume"}
	Decommission = Operation[EndRequest, Receipt]{"POST /agents/{name}/decommission"}
	Reenroll     = Operation[Named, Invited]{"POST /agents/{name}/reenroll"}
)

// An Agent is what operators see of an agent.
type Agent struct {
	Name        string            `json:"name"`
	ID          string            `json:"id"` // SPIFFE ID
	State       string            `json:"state"`
	Owner       string            `json:"owner"`
	Purpose     string            `json:"purpose,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Scopes      []string          `json:"scopes,omitempty"`
	Audiences   []string          `json:"audiences,omitempty"`
	Roles       []string          `json:"roles,omitempty"`  // for good
	Grants      []Grant           `json:"grants,omitempty"` // scopes, audiences and roles that end
	DNS         []string          `json:"dns,omitempty"`
	IPs         []string          `json:"ips,omitempty"`
	Keys        int               `json:"keys,omitempty"` // how many are registered for private_key_jwt
	TTL         string            `json:"ttl,omitempty"`
	Expires     time.Time         `json:"expires,omitzero"`
	Quotas      map[string]int64  `json:"quotas,omitempty"` // its own; those of brevet.yaml hold for the others
	Created     time.Time         `json:"created"`
	Changed     time.Time         `json:"changed"`
	Certified   time.Time         `json:"certified,omitzero"`    // when its latest certificate was issued
	Certificate string            `json:"certificate,omitempty"` // serial number of that certificate, while it can be used
	CertExpires time.Time         `json:"certificate_expires,omitzero"`
	LastSeen    time.Time         `json:"last_seen,omitzero"`    // when it last used or obtained a credential, in lists and alone
	Note        string            `json:"note,omitempty"`        // why a change changed nothing
	RenewGrace  string            `json:"renew_grace,omitempty"` // its own window; that of brevet.yaml holds otherwise
	KeyMaxAge   string            `json:"key_max_age,omitempty"` // its own limit; that of brevet.yaml holds otherwise
	KeysEnd     time.Time         `json:"keys_end,omitzero"`     // when the first of its registered keys is too old, in lists and alone

	RolesRemoved []string `json:"roles_removed,omitempty"` // those of its roles that were removed and give nothing, in lists and alone
}

// A Grant is a scope, an audience or a role that an agent has until an instant.
type Grant struct {
	Scope    string    `json:"scope,omitempty"`
	Audience string    `json:"audience,omitempty"`
	Role     string    `json:"role,omitempty"`
	Until    time.Time `json:"until"`
	Reason   string    `json:"reason,omitempty"`
	By       string    `json:"by"` // the operator who gave it
	Given    time.Time `json:"given"`
}

// A Shown agent has, in addition, what takes longer to find out.
type Shown struct {
	Agent
	KeyThumbprints []string         `json:"key_thumbprints,omitempty"` // SHA-256 of each registered key, in hexadecimal
	RegisteredKeys []AgentKey       `json:"registered_keys,omitempty"`
	ACMEAccounts   int              `json:"acme_accounts"`       // those that can be used
	ACMEKeys       []AgentKey       `json:"acme_keys,omitempty"` // of those
	Usage          map[string]Usage `json:"usage,omitempty"`
	Held           Held             `json:"held"`
}

// Held is what an agent may have in tokens now: by its own, by grants and by roles together.
type Held struct {
	Scopes    []string `json:"scopes,omitempty"`
	Audiences []string `json:"audiences,omitempty"`
	Details   []string `json:"details,omitempty"` // types of authorization_details
}

// An AgentKey is one with which an agent authenticates for long.
type AgentKey struct {
	Thumbprint string    `json:"thumbprint,omitempty"` // SHA-256 of a registered key, in hexadecimal
	Account    string    `json:"account,omitempty"`    // identifier of an ACME account
	Since      time.Time `json:"since"`
	End        time.Time `json:"end,omitzero"` // when it is too old
}

// A Usage is how much of something an agent has, and how much it may have.
type Usage struct {
	Used  int64 `json:"used"`
	Quota int64 `json:"quota"`
}

// A Named request is about the agent with this name.
type Named struct {
	Name string `path:"name" json:"-"`
}

// A Change is what an operator writes about an agent, as text that the server
// checks. A nil field leaves the agent's as it is; an empty list empties it.
//
// It has the same fields as agents.Change, and the server converts one to the other.
// So neither can have a field that the other lacks.
type Change struct {
	Owner     *string           `json:"owner,omitempty"`
	Purpose   *string           `json:"purpose,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"` // merged; an empty value removes the label
	Scopes    []string          `json:"scopes,omitzero"`
	Audiences []string          `json:"audiences,omitzero"`
	Roles     []string          `json:"roles,omitzero"`
	DNS       []string          `json:"dns,omitzero"`      // NAME or NAME,challenge
	IPs       []string          `json:"ips,omitzero"`      // ADDRESS or ADDRESS,challenge
	Keys      []string          `json:"keys,omitzero"`     // PEM "PUBLIC KEY"s, for private_key_jwt
	TTL       *time.Duration    `json:"ttl,omitempty"`     // nanoseconds; 0 means the profile's
	Expires   *time.Time        `json:"expires,omitempty"` // the zero time means never
	Quotas    map[string]int64  `json:"quotas,omitempty"`  // merged; a negative one goes back to that of brevet.yaml

	RenewGrace *time.Duration `json:"renew_grace,omitempty"` // nanoseconds; a negative one goes back to that of brevet.yaml
	KeyMaxAge  *time.Duration `json:"key_max_age,omitempty"` // likewise; 0 means no limit

	// With Until, the scopes, audiences and roles are grants that end then, beside what the
	// agent has. The zero time takes such grants away.
	Until  *time.Time `json:"until,omitempty"`
	Reason *string    `json:"reason,omitempty"` // of these grants
}

// An AddRequest registers an agent.
type AddRequest struct {
	Name string `json:"name"`
	Change
}

// A SetRequest changes an agent.
type SetRequest struct {
	Name string `path:"name" json:"-"`
	Change
}

// An Invited agent was just registered or may enroll again. Its one-time token
// and its ACME key are shown only here.
type Invited struct {
	Agent
	Enrollment Enrollment `json:"enrollment"`
	ACME       ACMEKey    `json:"acme"`
}

// An Enrollment is a one-time token.
type Enrollment struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires_at"`
}

// An ACMEKey lets an ACME client open one account of the agent (RFC 8555, section
// 7.3.4), until the enrollment token expires.
type ACMEKey struct {
	Directory string `json:"directory"` // URL
	KeyID     string `json:"eab_kid"`
	MACKey    string `json:"eab_hmac_key"` // base64url, for HMAC-SHA256
}

// A Filter chooses agents to list. Empty members choose all.
type Filter struct {
	State  string            `query:"state" json:"-"`
	Owner  string            `query:"owner" json:"-"`
	Role   string            `query:"role" json:"-"`
	Labels map[string]string `query:"label" json:"-"`
	Stale  time.Duration     `query:"stale" json:"-"` // it used and obtained no credential for that long
}

// An EndRequest ends all that an agent holds.
type EndRequest struct {
	Name   string `path:"name" json:"-"`
	Reason string `json:"reason,omitempty"` // a CRLReason by name
}

// AddAgent registers an agent and returns its enrollment token and ACME key.
func (c *Client) AddAgent(ctx context.Context, name string, change Change) (Invited, error) {
	return ask(ctx, c, AddAgent, AddRequest{name, change})
}

// Agents lists agents by name.
func (c *Client) Agents(ctx context.Context, f Filter) ([]Agent, error) {
	return ask(ctx, c, ListAgents, f)
}

// Agent returns one agent.
func (c *Client) Agent(ctx context.Context, name string) (Shown, error) {
	return ask(ctx, c, ShowAgent, Named{name})
}

// SetAgent changes an agent, and returns it as [Client.Agent] does.
func (c *Client) SetAgent(ctx context.Context, name string, change Change) (Shown, error) {
	return ask(ctx, c, SetAgent, SetRequest{name, change})
}

// Suspend ends all that an agent holds, until it is resumed. reason is a
// CRLReason by name, or empty.
func (c *Client) Suspend(ctx context.Context, name, reason string) (Receipt, error) {
	return ask(ctx, c, Suspend, EndRequest{name, reason})
}

// Decommission ends an agent for good.
func (c *Client) Decommission(ctx context.Context, name, reason string) (Receipt, error) {
	return ask(ctx, c, Decommission, EndRequest{name, reason})
}

// Resume lets a suspended agent obtain credentials again.
func (c *Client) Resume(ctx context.Context, name string) (Agent, error) {
	return ask(ctx, c, Resume, Named{name})
}

// Reenroll returns a new enrollment token and ACME key for an agent.
func (c *Client) Reenroll(ctx context.Context, name string) (Invited, error) {
	return ask(ctx, c, Reenroll, Named{name})
}
