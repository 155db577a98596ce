package api

import (
	"context"
	"time"
)

// Operations on the policies that decide beside the registry.
var (
	ListPolicies   = Operation[struct{}, []PolicyVersion]{"GET /policies"}
	ShowPolicies   = Operation[PolicyVersionRequest, PolicyVersion]{"GET /policies/{version}"}
	ApplyPolicies  = Operation[ApplyPoliciesRequest, PolicyVersion]{"POST /policies"}
	RemovePolicies = Operation[struct{}, PolicyVersion]{"POST /policies/remove"}
)

// A PolicyVersion is a set of policies as it was applied.
type PolicyVersion struct {
	Version int64        `json:"version"`
	SHA256  string       `json:"sha256"` // of the set: see the documentation of brevet policy apply
	Actor   string       `json:"actor"`  // who applied it
	Applied time.Time    `json:"applied"`
	InForce bool         `json:"in_force"`
	Files   []PolicyFile `json:"files"`
	Zone    string       `json:"zone,omitempty"` // in which the time of day is, of a version that is shown
	Note    string       `json:"note,omitempty"`
}

// A PolicyFile is one file of a set.
type PolicyFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256,omitempty"`
	Text   string `json:"text,omitempty"` // not in lists
}

// A PolicyVersionRequest names a version.
type PolicyVersionRequest struct {
	Version string `path:"version" json:"-"` // its number, or "current" for the one in force
}

// An ApplyPoliciesRequest has a set of policies.
type ApplyPoliciesRequest struct {
	Files     []PolicyFile `json:"files"`
	Unchecked bool         `json:"unchecked,omitempty"` // also if they do not fit the schema
}

// Policies lists the versions of the policies, the newest first, without their texts.
func (c *Client) Policies(ctx context.Context) ([]PolicyVersion, error) {
	return ask(ctx, c, ListPolicies, struct{}{})
}

// PolicyVersion returns a version by its number, or the one in force for "current".
func (c *Client) PolicyVersion(ctx context.Context, version string) (PolicyVersion, error) {
	return ask(ctx, c, ShowPolicies, PolicyVersionRequest{version})
}

// ApplyPolicies puts a set into force.
func (c *Client) ApplyPolicies(ctx context.Context, in ApplyPoliciesRequest) (PolicyVersion, error) {
	return ask(ctx, c, ApplyPolicies, in)
}

// RemovePolicies takes the policies in force away.
func (c *Client) RemovePolicies(ctx context.Context) (PolicyVersion, error) {
	return ask(ctx, c, RemovePolicies, struct{}{})
}
