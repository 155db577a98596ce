package api

import (
	"context"
	"time"
)

// Operations that move the authority to another URL.
var (
	Readdress     = Operation[ReaddressRequest, Readdressed]{"POST /readdress"}
	PlanReaddress = Operation[ReaddressRequest, Readdressed]{"POST /readdress/dry-run"}
)

// A ReaddressRequest moves the authority to another URL.
type ReaddressRequest struct {
	URL   string    `json:"url"`
	Until time.Time `json:"until"` // tokens keep their issuer until then
}

// Readdressed says what a move does, and whom it concerns.
type Readdressed struct {
	From              string          `json:"from"`
	To                string          `json:"to"`
	Issuer            string          `json:"issuer"`                      // of tokens until Until
	Until             time.Time       `json:"until"`                       // tokens are issued by To from then on
	Moved             time.Time       `json:"moved_at,omitzero"`           // when it was, if only the date changes
	Advertise         string          `json:"advertise"`                   // in brevet.yaml
	NeededUntil       time.Time       `json:"needed_until"`                // nothing needs the old URL after that
	Published         string          `json:"published,omitempty"`         // old base of the URLs in certificates, if that changes
	PublishedNow      string          `json:"published_now,omitempty"`     // the new one
	Certificates      int             `json:"certificates"`                // of agents, that name the old base
	CertificatesUntil time.Time       `json:"certificates_until,omitzero"` // when the last of them has ended
	CAs               []NamingCA      `json:"cas,omitempty"`               // whose certificates name the old base
	Agents            []AffectedAgent `json:"agents"`                      // active ones, those seen last first
	Parties           []RelyingParty  `json:"parties"`                     // seen lately; the verdict is "works" if they need nothing
	Note              string          `json:"note,omitempty"`              // why there was nothing to do, if so
}

// A NamingCA is a CA at work whose certificate names the old base.
type NamingCA struct {
	ID      string    `json:"id"`
	Purpose string    `json:"purpose"`
	Expires time.Time `json:"expires"`
}

// An AffectedAgent may know the authority by its old URL.
type AffectedAgent struct {
	Name     string    `json:"name"`
	LastUsed time.Time `json:"last_used,omitzero"`
}

// A FormerAddress is a URL of the authority that it has left, and that something still needs.
type FormerAddress struct {
	URL            string    `json:"url"`
	IssuesUntil    time.Time `json:"issues_until,omitzero"` // it is the issuer of tokens until then
	NeededUntil    time.Time `json:"needed_until"`
	Published      string    `json:"published,omitempty"` // base of the URLs in certificates, if another one is used now
	PublishedUntil time.Time `json:"published_until,omitzero"`
}

// Readdress moves the authority to another URL.
func (c *Client) Readdress(ctx context.Context, r ReaddressRequest) (Readdressed, error) {
	return ask(ctx, c, Readdress, r)
}

// PlanReaddress says what Readdress would do, and changes nothing.
func (c *Client) PlanReaddress(ctx context.Context, r ReaddressRequest) (Readdressed, error) {
	return ask(ctx, c, PlanReaddress, r)
}
