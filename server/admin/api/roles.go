package api

import (
	"context"
	"time"
)

// Operations on the roles of agents.
var (
	AddRole    = Operation[AddRoleRequest, Role]{"POST /roles"}
	ListRoles  = Operation[struct{}, []Role]{"GET /roles"}
	ShowRole   = Operation[Named, Role]{"GET /roles/{name}"}
	SetRole    = Operation[SetRoleRequest, Role]{"PATCH /roles/{name}"}
	RemoveRole = Operation[RemoveRoleRequest, Role]{"POST /roles/{name}/remove"}
)

// A Role is a named set of what agents may have in tokens.
type Role struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Scopes      []string  `json:"scopes,omitempty"`
	Audiences   []string  `json:"audiences,omitempty"`
	Details     []string  `json:"details,omitempty"` // types of authorization_details
	Agents      int       `json:"agents"`            // how many have it on record, without those that are decommissioned
	Created     time.Time `json:"created"`
	Changed     time.Time `json:"changed"`
	Note        string    `json:"note,omitempty"` // what a change did beside, or why it did nothing
}

// A RoleChange is what an operator writes about a role, as text that the server checks. A nil
// field leaves the role's as it is; an empty list empties it.
//
// It has the same fields as agents.RoleChange, and the server converts one to the other.
type RoleChange struct {
	Description *string  `json:"description,omitempty"`
	Scopes      []string `json:"scopes,omitzero"`
	Audiences   []string `json:"audiences,omitzero"`
	Details     []string `json:"details,omitzero"`
}

// An AddRoleRequest makes a role.
type AddRoleRequest struct {
	Name string `json:"name"`
	RoleChange
}

// A SetRoleRequest changes a role.
type SetRoleRequest struct {
	Name string `path:"name" json:"-"`
	RoleChange
}

// A RemoveRoleRequest removes a role.
type RemoveRoleRequest struct {
	Name  string `path:"name" json:"-"`
	Force bool   `json:"force,omitempty"` // also if agents have it
}

// AddRole makes a role.
func (c *Client) AddRole(ctx context.Context, name string, change RoleChange) (Role, error) {
	return ask(ctx, c, AddRole, AddRoleRequest{name, change})
}

// Roles lists the roles by name.
func (c *Client) Roles(ctx context.Context) ([]Role, error) {
	return ask(ctx, c, ListRoles, struct{}{})
}

// Role returns one role.
func (c *Client) Role(ctx context.Context, name string) (Role, error) {
	return ask(ctx, c, ShowRole, Named{name})
}

// SetRole changes a role, for all agents that have it.
func (c *Client) SetRole(ctx context.Context, name string, change RoleChange) (Role, error) {
	return ask(ctx, c, SetRole, SetRoleRequest{name, change})
}

// RemoveRole removes a role. If agents have it, the server refuses unless it is forced.
func (c *Client) RemoveRole(ctx context.Context, name string, force bool) (Role, error) {
	return ask(ctx, c, RemoveRole, RemoveRoleRequest{name, force})
}
