package api

import (
	"context"
	"time"
)

// Operations on the people who operate the authority.
var (
	ListOperators   = Operation[struct{}, []Operator]{"GET /operators"}
	ShowOperator    = Operation[Named, Operator]{"GET /operators/{name}"}
	AddOperator     = Operation[AddOperatorRequest, InvitedOperator]{"POST /operators"}
	EnrollOperator  = Operation[Named, InvitedOperator]{"POST /operators/{name}/enroll"}
	SetOperator     = Operation[SetOperatorRequest, Operator]{"PATCH /operators/{name}"}
	RemoveOperator  = Operation[Named, Operator]{"POST /operators/{name}/remove"}
	LinkOperator    = Operation[Named, InvitedOperator]{"POST /operators/{name}/passkey"}
	RemovePasskey   = Operation[PasskeyOf, Operator]{"POST /operators/{name}/passkeys/{id}/remove"}
	SuspendOperator = Operation[Named, Operator]{"POST /operators/{name}/suspend"}
	ResumeOperator  = Operation[Named, Operator]{"POST /operators/{name}/resume"}
)

// An Operator is a person who may operate the authority, as others see it.
type Operator struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`             // viewer, operator, security or admin
	UIDs    []uint32  `json:"uids"`             // the users of the machine that they are
	State   string    `json:"state"`            // active, suspended or removed
	Changed time.Time `json:"changed,omitzero"` // when they were last suspended or resumed
	Added   time.Time `json:"added,omitzero"`   // from when on they may have certificates
	Removed time.Time `json:"removed,omitzero"`

	CertExpires time.Time `json:"certificate_expires_at,omitzero"` // the end of their latest certificate, if it can be used
	Passkeys    []Passkey `json:"passkeys,omitempty"`
	Note        string    `json:"note,omitempty"`
	Receipt     *Receipt  `json:"receipt,omitempty"` // what a suspension or a removal ended
}

// A Passkey is one that an operator registered in a browser.
type Passkey struct {
	ID     string    `json:"id"` // base64url
	Added  time.Time `json:"added"`
	Synced bool      `json:"synced"` // the operator may have it on several devices
}

// A PasskeyOf names a passkey of an operator.
type PasskeyOf struct {
	Name string `path:"name" json:"-"`
	ID   string `path:"id" json:"-"`
}

// An AddOperatorRequest says who is to operate the authority.
type AddOperatorRequest struct {
	Name    string `json:"name"`
	Role    string `json:"role"`
	Passkey bool   `json:"passkey,omitempty"` // to get a link for a passkey, and no enrollment token
}

// A SetOperatorRequest changes an operator.
type SetOperatorRequest struct {
	Name string `path:"name" json:"-"`
	Role string `json:"role"`
}

// An InvitedOperator may enroll.
type InvitedOperator struct {
	Operator
	ID         string     `json:"id"` // the SPIFFE ID in their certificates
	Enrollment Enrollment `json:"enrollment,omitzero"`

	AdminURL string `json:"admin_url,omitempty"` // where they come in by it, if anywhere

	Link *PasskeyLink `json:"link,omitempty"` // instead
}

// A PasskeyLink lets an operator register one passkey.
type PasskeyLink struct {
	URL     string    `json:"url"` // to open in a browser; a secret
	Expires time.Time `json:"expires_at"`
}

// AddOperator lets a person have certificates and operate by them in a role.
func (c *Client) AddOperator(ctx context.Context, name, role string) (InvitedOperator, error) {
	return ask(ctx, c, AddOperator, AddOperatorRequest{Name: name, Role: role})
}

// AddOperatorByPasskey lets a person register a passkey and operate in a role.
func (c *Client) AddOperatorByPasskey(ctx context.Context, name, role string) (InvitedOperator, error) {
	return ask(ctx, c, AddOperator, AddOperatorRequest{name, role, true})
}

// LinkOperator gives an operator who was added a link to register a passkey.
func (c *Client) LinkOperator(ctx context.Context, name string) (InvitedOperator, error) {
	return ask(ctx, c, LinkOperator, Named{name})
}

// RemovePasskey ends a passkey of an operator.
func (c *Client) RemovePasskey(ctx context.Context, name, id string) (Operator, error) {
	return ask(ctx, c, RemovePasskey, PasskeyOf{name, id})
}

// EnrollOperator gives an operator who was added another enrollment token.
func (c *Client) EnrollOperator(ctx context.Context, name string) (InvitedOperator, error) {
	return ask(ctx, c, EnrollOperator, Named{name})
}

// SetOperator gives an operator who was added another role.
func (c *Client) SetOperator(ctx context.Context, name, role string) (Operator, error) {
	return ask(ctx, c, SetOperator, SetOperatorRequest{name, role})
}

// RemoveOperator ends an operator who was added, and their certificates, for good.
func (c *Client) RemoveOperator(ctx context.Context, name string) (Operator, error) {
	return ask(ctx, c, RemoveOperator, Named{name})
}

// Operators lists the operators that have names.
func (c *Client) Operators(ctx context.Context) ([]Operator, error) {
	return ask(ctx, c, ListOperators, struct{}{})
}

// Operator returns one operator.
func (c *Client) Operator(ctx context.Context, name string) (Operator, error) {
	return ask(ctx, c, ShowOperator, Named{name})
}

// SuspendOperator has an operator do nothing more until they are resumed.
func (c *Client) SuspendOperator(ctx context.Context, name string) (Operator, error) {
	return ask(ctx, c, SuspendOperator, Named{name})
}

// ResumeOperator lets a suspended operator operate again.
func (c *Client) ResumeOperator(ctx context.Context, name string) (Operator, error) {
	return ask(ctx, c, ResumeOperator, Named{name})
}
