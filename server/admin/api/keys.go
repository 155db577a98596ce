package api

import (
	"context"
	"time"
)

// Operations on the signing keys.
var (
	ListKeys    = Operation[struct{}, []Key]{"GET /keys"}
	RotateKey   = Operation[RotateRequest, Rotated]{"POST /keys/{purpose}/rotate"}
	WithdrawKey = Operation[WithdrawRequest, Withdrawn]{"POST /keys/{id}/withdraw"}
	DestroyKey  = Operation[DestroyRequest, Destroyed]{"POST /keys/{id}/destroy"}
	CancelKey   = Operation[CancelRequest, Cancelled]{"POST /keys/{purpose}/cancel"}
	DryRunKey   = Operation[DryRunKeyRequest, DryRun]{"POST /keys/{purpose}/dry-run"}
	DryRunAll   = Operation[DryRunRequest, []DryRun]{"POST /keys/dry-run"}
)

// A Key is what operators see of a signing key.
type Key struct {
	ID        string    `json:"id"`
	Purpose   string    `json:"purpose"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"`
	Created   time.Time `json:"created"`
	Activated time.Time `json:"activated,omitzero"`
	Retired   time.Time `json:"retired,omitzero"`
	Expires   time.Time `json:"expires,omitzero"` // of its CA certificate, if it has one
	Public    string    `json:"public"`           // PEM; a key with an alternative half has two blocks

	SignsFrom   time.Time `json:"signs_from,omitzero"`   // if it is only announced
	Destroyed   time.Time `json:"destroyed,omitzero"`    // when its private half was given up
	Compromised bool      `json:"compromised,omitempty"` // all that it signed is dead
	Withdrawn   time.Time `json:"withdrawn,omitzero"`    // when a root was published no more
}

// A RotateRequest makes a new key of a purpose.
type RotateRequest struct {
	Purpose   string `path:"purpose" json:"-"`
	Algorithm string `query:"algorithm" json:"-"` // "" means that of the old one
	Now       bool   `query:"now" json:"-"`       // do not announce a key first that others cache

	// Compromised says that the old key is stolen: what it signed is dead for good, and it is
	// destroyed.
	Compromised bool `query:"compromised" json:"-"`
}

// A Rotated key is a key that has just become active, or is announced.
type Rotated struct {
	Key
	Ended   *Receipt `json:"ended,omitempty"`   // what a compromised key had signed
	Remarks []string `json:"remarks,omitempty"` // what the operator should know about it

	// Request is what the root must sign on the machine that has its key. Until then the new
	// key waits.
	Request *RootRequest `json:"request,omitempty"`
}

// A WithdrawRequest is about one of two roots.
type WithdrawRequest struct {
	ID string `path:"id" json:"-"`
}

// Withdrawn says what became of a root.
type Withdrawn struct {
	Key
	Leading string   `json:"leading"`        // the ID of the root that leads now
	Note    string   `json:"note,omitempty"` // that it was withdrawn already
	Remarks []string `json:"remarks,omitempty"`
}

// A DestroyRequest is about a retired key.
type DestroyRequest struct {
	ID          string `path:"id" json:"-"`
	Compromised bool   `query:"compromised" json:"-"` // it is stolen: what it signed is dead for good
}

// Destroyed says what became of a key.
type Destroyed struct {
	Key
	Ended *Receipt `json:"ended,omitempty"` // what a compromised key had signed
	Note  string   `json:"note,omitempty"`  // that it was destroyed already
}

// Cancelled says what became of a next key.
type Cancelled struct {
	Key
	Along *Key   `json:"along,omitempty"` // an https-issuer that only this key needed
	Note  string `json:"note,omitempty"`  // that there was none
}

// A CancelRequest gives up a next key of a purpose.
type CancelRequest struct {
	Purpose   string `path:"purpose" json:"-"`
	Algorithm string `query:"algorithm" json:"-"` // "" means that there is only one
}

// A DryRunKeyRequest is about a rotation that is not carried out.
type DryRunKeyRequest struct {
	Purpose   string `path:"purpose" json:"-"`
	Algorithm string `query:"algorithm" json:"-"` // "" means that of the old one
}

// A DryRunRequest is about all keys that could have the algorithm.
type DryRunRequest struct {
	Algorithm string `query:"algorithm" json:"-"`
}

// A DryRun says what a rotation of a key would do. Nothing was changed.
type DryRun struct {
	Purpose string         `json:"purpose"`
	From    string         `json:"from,omitempty"` // algorithm; "" if there is no key yet
	To      string         `json:"to"`
	Sizes   []Size         `json:"sizes"`
	Parties []RelyingParty `json:"parties"`
	Breaks  int            `json:"breaks"` // how many of the parties
	Unknown int            `json:"unknown"`
	Works   int            `json:"works"`
	Since   time.Time      `json:"since,omitzero"` // when the first of all parties was first seen
	Remarks []string       `json:"remarks,omitempty"`
}

// A Size is how many octets something takes before and after the rotation.
type Size struct {
	What string `json:"what"`
	Now  int    `json:"now,omitempty"` // 0 if it does not exist yet
	Then int    `json:"then"`
}

// A RelyingParty relied on the authority lately. The verdict says whether the
// rotation would break it.
type RelyingParty struct {
	Who      string    `json:"who"`             // an agent's name, or an address
	Agent    bool      `json:"agent,omitempty"` // it is an agent's name
	Software string    `json:"software,omitempty"`
	Uses     []string  `json:"uses"`
	Seen     time.Time `json:"seen"`    // last
	Verdict  string    `json:"verdict"` // works, unknown, breaks
	Why      string    `json:"why"`
}

// Keys lists the signing keys.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	return ask(ctx, c, ListKeys, struct{}{})
}

// RotateKey makes a new key of a purpose, like the old one. It makes the key active, or
// announces it if others cache the public keys.
func (c *Client) RotateKey(ctx context.Context, purpose string) (Rotated, error) {
	return c.RotateKeyTo(ctx, purpose, "")
}

// RotateKeyTo is RotateKey for a key of another algorithm than the old one.
func (c *Client) RotateKeyTo(ctx context.Context, purpose, algorithm string) (Rotated, error) {
	return ask(ctx, c, RotateKey, RotateRequest{Purpose: purpose, Algorithm: algorithm})
}

// RotateKeyNow is RotateKeyTo for a key that becomes active without being announced.
func (c *Client) RotateKeyNow(ctx context.Context, purpose, algorithm string) (Rotated, error) {
	return ask(ctx, c, RotateKey, RotateRequest{Purpose: purpose, Algorithm: algorithm, Now: true})
}

// RotateCompromisedKey makes a new key in the place of one that is stolen. All that the old
// one signed is dead, and it is destroyed. If the root's key is kept elsewhere, an issuer
// is stopped, and the answer has the request that goes to the root.
func (c *Client) RotateCompromisedKey(ctx context.Context, purpose, algorithm string) (Rotated, error) {
	return ask(ctx, c, RotateKey, RotateRequest{Purpose: purpose, Algorithm: algorithm, Compromised: true})
}

// WithdrawKey ends the publication of one of two roots. The other one leads.
func (c *Client) WithdrawKey(ctx context.Context, id string) (Withdrawn, error) {
	return ask(ctx, c, WithdrawKey, WithdrawRequest{id})
}

// DestroyKey destroys the private half of a retired key. If it is compromised, all that it
// signed is dead.
func (c *Client) DestroyKey(ctx context.Context, id string, compromised bool) (Destroyed, error) {
	return ask(ctx, c, DestroyKey, DestroyRequest{id, compromised})
}

// CancelKey gives up a key that is announced or waits for a certificate, and destroys it. An
// issuer whose CRL was published is retired, and destroyed a little later.
func (c *Client) CancelKey(ctx context.Context, purpose, algorithm string) (Cancelled, error) {
	return ask(ctx, c, CancelKey, CancelRequest{purpose, algorithm})
}

// DryRunKey says what RotateKeyTo would do, and changes nothing.
func (c *Client) DryRunKey(ctx context.Context, purpose, algorithm string) (DryRun, error) {
	return ask(ctx, c, DryRunKey, DryRunKeyRequest{purpose, algorithm})
}

// DryRun is DryRunKey for all keys that could have the algorithm.
func (c *Client) DryRun(ctx context.Context, algorithm string) ([]DryRun, error) {
	return ask(ctx, c, DryRunAll, DryRunRequest{algorithm})
}
