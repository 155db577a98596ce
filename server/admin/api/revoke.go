package api

import (
	"context"
	"time"
)

// Revoke ends many credentials at once.
var Revoke = Operation[Selection, Receipt]{"POST /revoke"}

// A Selection says what to revoke: the credentials that match all members that are
// set.
type Selection struct {
	Agent        string            `json:"agent,omitempty"`
	Owner        string            `json:"owner,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	IssuedBefore time.Time         `json:"issued_before,omitzero"`
	IssuedSince  time.Time         `json:"issued_since,omitzero"`
	Reason       string            `json:"reason,omitempty"`
	DryRun       bool              `json:"dry_run,omitempty"`
	Role         string            `json:"role,omitempty"`
}

// A Receipt says what a revocation ended.
type Receipt struct {
	At           time.Time   `json:"at"`
	Certificates int         `json:"certificates"`
	Tokens       int         `json:"tokens"`
	ACMEAccounts int         `json:"acme_accounts"`
	Enrollments  int         `json:"enrollment_tokens"`   // that were not used
	ACMEKeys     int         `json:"acme_keys"`           // for opening accounts, that were not used
	Renewable    int         `json:"renewable,omitempty"` // certificates that had expired and could still renew
	CRL          []CRLNumber `json:"crl"`
	// DeadAfter is the last moment at which a revoked credential can still work: at
	// a relying party that checks no CRL, OCSP or introspection.
	DeadAfter time.Time `json:"dead_after"`
	// RenewableUntil is when the last of the certificates could have renewed otherwise: a stolen
	// key is of use for the certificate's lifetime and renew_grace unless it is cut.
	RenewableUntil time.Time `json:"renewable_until,omitzero"`

	Warning string `json:"warning,omitempty"` // the revocation stands, but the CRL is late
	Note    string `json:"note,omitempty"`    // why nothing was ended, or could be
	DryRun  bool   `json:"dry_run,omitempty"`
}

// A CRLNumber names one published list.
type CRLNumber struct {
	Issuer string `json:"issuer"`
	Number int64  `json:"number"`
}

// Revoke revokes the credentials that match a selection, or only counts them.
func (c *Client) Revoke(ctx context.Context, s Selection) (Receipt, error) {
	return ask(ctx, c, Revoke, s)
}
