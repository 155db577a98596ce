package api

import (
	"context"
	"time"
)

// Operations about roots whose keys are kept elsewhere.
var (
	RequestKey = Operation[RootRequestRequest, RootRequest]{"POST /keys/{purpose}/request"}
	InstallKey = Operation[InstallRequest, Installed]{"POST /keys/install"}
)

// A RootRequestRequest asks for a request to the root above a purpose: for a certificate of a new
// key and for CRLs, or for CRLs alone if the purpose is that of the root itself.
type RootRequestRequest struct {
	Purpose   string `path:"purpose" json:"-"`
	Algorithm string `query:"algorithm" json:"-"` // of the new key; "" means that of the old one
	Successor bool   `query:"successor" json:"-"` // a new root is to be made beside the one of the purpose
}

// A RootRequest is what a root is asked to sign, on the machine that has its key.
type RootRequest struct {
	Root        string   `json:"root"`                // identifier
	Beside      []string `json:"beside,omitempty"`    // identifiers of other roots that are to sign, too
	Purpose     string   `json:"purpose"`             // of the root
	Keys        []Key    `json:"keys,omitempty"`      // that wait for certificates
	Successor   string   `json:"successor,omitempty"` // algorithm of the new root that is to be made
	Fingerprint string   `json:"fingerprint"`         // of the request: SHA-256 in hexadecimal
	Request     string   `json:"request"`             // the file
}

// An InstallRequest has what the root signed.
type InstallRequest struct {
	Response string `json:"response"`      // the file
	Now      bool   `json:"now,omitempty"` // an issuer signs at once, before servers have its CRL in their files
}

// Installed says what was put to work.
type Installed struct {
	InstalledCRLs
	Beside  []InstalledCRLs `json:"beside,omitempty"` // of another root that has signed as well
	Keys    []Key           `json:"keys,omitempty"`   // that sign now, or later if they have SignsFrom
	Fresh   *Key            `json:"new_root,omitempty"`
	Remarks []string        `json:"remarks,omitempty"` // what the operator should know about the keys
	Note    string          `json:"note,omitempty"`    // that all of it was installed before
}

// InstalledCRLs are those of one root.
type InstalledCRLs struct {
	Root  string    `json:"root"`           // identifier
	CRLs  []int64   `json:"crls,omitempty"` // numbers
	Until time.Time `json:"crls_until,omitzero"`
}

// RequestKey asks for a request to the root above a purpose.
func (c *Client) RequestKey(ctx context.Context, purpose, algorithm string) (RootRequest, error) {
	return ask(ctx, c, RequestKey, RootRequestRequest{Purpose: purpose, Algorithm: algorithm})
}

// RequestSuccessor asks for a request for a new root.
func (c *Client) RequestSuccessor(ctx context.Context, purpose, algorithm string) (RootRequest, error) {
	return ask(ctx, c, RequestKey, RootRequestRequest{purpose, algorithm, true})
}

// InstallKey puts to work what a root has signed. It announces an issuer that takes the place
// of another one.
func (c *Client) InstallKey(ctx context.Context, response string) (Installed, error) {
	return ask(ctx, c, InstallKey, InstallRequest{Response: response})
}

// InstallKeyNow is InstallKey for an issuer that signs at once.
func (c *Client) InstallKeyNow(ctx context.Context, response string) (Installed, error) {
	return ask(ctx, c, InstallKey, InstallRequest{response, true})
}
