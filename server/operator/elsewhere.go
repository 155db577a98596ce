package operator

import (
	"context"
	"errors"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// requestKey asks a root that is kept elsewhere to sign.
func (s *Service) requestKey(ctx context.Context, p policy.Principal, in api.RootRequestRequest) (api.RootRequest, error) {
	purpose, a, err := rotation(in.Purpose, in.Algorithm)
	if err != nil {
		return api.RootRequest{}, err
	}
	var r authority.Requested
	if in.Successor {
		r, err = s.Authority.RequestSuccessor(ctx, purpose, a)
	} else {
		r, err = s.Authority.Request(ctx, p, purpose, a)
	}
	if err != nil {
		return api.RootRequest{}, err
	}
	return newRootRequest(r), nil
}

func newRootRequest(r authority.Requested) api.RootRequest {
	out := api.RootRequest{Root: r.Root, Beside: r.Beside, Purpose: string(r.Purpose), Successor: string(r.Successor), Fingerprint: r.Fingerprint, Request: string(r.Text)}
	for _, k := range r.Keys {
		out.Keys = append(out.Keys, newKey(k, ca.Authority{}))
	}
	return out
}

// installKey puts to work what a root has signed elsewhere.
func (s *Service) installKey(ctx context.Context, p policy.Principal, in api.InstallRequest) (out api.Installed, err error) {
	i, err := s.Authority.Install(ctx, p, []byte(in.Response))
	if err != nil {
		return out, err
	}
	if out.Root = i.Root; i.Again {
		out.Note = "all of it is at work already"
	}
	for _, l := range i.Lists {
		out.CRLs, out.Until = append(out.CRLs, l.Number), l.NextUpdate
	}
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		out.Keys = nil
		cas, err := caCertificates(tx)
		for _, k := range i.Keys {
			now, err2 := keys.Get(tx, k.ID)
			err = errors.Join(err, err2)
			out.Keys = append(out.Keys, newKey(now, cas[k.ID]))
		}
		if out.Fresh = nil; i.Fresh.ID != "" {
			now, err2 := keys.Get(tx, i.Fresh.ID)
			fresh := newKey(now, cas[i.Fresh.ID])
			err, out.Fresh = errors.Join(err, err2), &fresh
		}
		return err
	})
	return out, err
}
