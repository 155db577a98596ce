package server

import (
	"cmp"
	"crypto"
	"errors"
	"path/filepath"
	"time"

	"github.com/brevet-ca/brevet/server/ceremony"
	"github.com/brevet-ca/brevet/storage/keys"
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

// RootKeys says where the machine on which roots sign has their keys.
type RootKeys struct {
	Files      []string   // with the keys of the roots
	Passphrase Passphrase // that unseals them, or NoPassphrase
	NewDir     string     // for the file of a new root's key, sealed with the same passphrase; "" means the directory of the first file
}

// SignRootRequest has the roots sign what the plan says. It returns the file of the new root's
// key, if one was made.
func SignRootRequest(r *RootRequest, p *RootPlan, at RootKeys) (signed *RootResponse, made string, err error) {
	var with ceremony.Keys
	for _, file := range at.Files {
		private, err := keyfile.Read(file, at.Passphrase)
		if err != nil {
			return nil, "", err
		}
		with.Private = append(with.Private, private)
		at.NewDir = cmp.Or(at.NewDir, filepath.Dir(file))
	}
	store := keyfile.NewStore(at.NewDir, at.Passphrase)
	var next keys.Key
	with.New = func(p keys.Purpose, a keys.Algorithm, now time.Time) (keys.Key, crypto.Signer, error) {
		k, private, err := store.Generate(p, a, now)
		next = k
		return k, private, err
	}
	signed, err = r.Sign(p, with)
	switch {
	case err != nil && next.ID != "":
		return nil, "", errors.Join(err, store.Destroy(next))
	case err != nil || next.ID == "":
		return signed, "", err
	}
	return signed, store.Path(next), nil
}
