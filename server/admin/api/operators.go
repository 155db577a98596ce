package api

import (
	"context"
	"time"
)

// Operations on the people who operate the authority.
var (
	ListOperators   = Operation[struct{}, []Operator]{"GET /operators"}
	ShowOperator    = Operation[Named, Operator]{"GET /operators/{name}"}
	SuspendOperator = Operation[Named, Operator]{"POST /operators/{name}/suspend"}
	ResumeOperator  = Operation[Named, Operator]{"POST /operators/{name}/resume"}
)

// An Operator is a person who may operate the authority, as others see it.
type Operator struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`             // viewer, operator, security or admin
	UIDs    []uint32  `json:"uids"`             // the users of the machine that they are
	State   string    `json:"state"`            // active or suspended
	Changed time.Time `json:"changed,omitzero"` // when they were last suspended or resumed
	Note    string    `json:"note,omitempty"`
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
