package server

import (
	"time"

	"github.com/brevet-ca/brevet/server/ceremony"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

type (
	// A RootRequest is what a root is asked to sign, see [ceremony.Request].
	RootRequest = ceremony.Request
	// A RootPlan is what a root would sign for a request.
	RootPlan = ceremony.Plan
	// A RootResponse is what a root has signed.
	RootResponse = ceremony.Response
)

// The largest files of requests and responses, in octets.
const (
	MaxRootRequest  = ceremony.MaxRequest
	MaxRootResponse = ceremony.MaxResponse
)

// ReadRootRequest reads a request to a root and says what the root would sign, n CRLs
// among it.
func ReadRootRequest(text []byte, n int, now time.Time) (*RootRequest, *RootPlan, error) {
	r, err := ceremony.ParseRequest(text)
	if err != nil {
		return nil, nil, err
	}
	p, err := r.Plan(n, now)
	return r, p, err
}

// SignRootRequest has the root whose key is in a file sign what the plan says. The
// passphrase may be NoPassphrase.
func SignRootRequest(r *RootRequest, p *RootPlan, file string, passphrase Passphrase) (*RootResponse, error) {
	private, err := keyfile.Read(file, passphrase)
	if err != nil {
		return nil, err
	}
	return r.Sign(p, private)
}
