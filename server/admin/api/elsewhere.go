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
	Response string `json:"response"` // the file
}

// Installed says what was put to work.
type Installed struct {
	Root  string    `json:"root"`
	Keys  []Key     `json:"keys,omitempty"` // that sign now
	Fresh *Key      `json:"new_root,omitempty"`
	CRLs  []int64   `json:"crls,omitempty"` // numbers
	Until time.Time `json:"crls_until,omitzero"`
	Note  string    `json:"note,omitempty"` // that all of it is at work already
}

// RequestKey asks for a request to the root above a purpose.
func (c *Client) RequestKey(ctx context.Context, purpose, algorithm string) (RootRequest, error) {
	return ask(ctx, c, RequestKey, RootRequestRequest{Purpose: purpose, Algorithm: algorithm})
}

// RequestSuccessor asks for a request for a new root.
func (c *Client) RequestSuccessor(ctx context.Context, purpose, algorithm string) (RootRequest, error) {
	return ask(ctx, c, RequestKey, RootRequestRequest{purpose, algorithm, true})
}

// InstallKey puts to work what a root has signed.
func (c *Client) InstallKey(ctx context.Context, response string) (Installed, error) {
	return ask(ctx, c, InstallKey, InstallRequest{response})
}
