package operator

import (
	"context"

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
	i, err := s.Authority.Install(ctx, p, []byte(in.Response), in.Now)
	if err != nil {
		return out, err
	}
	if i.Again {
		out.Note = "all of it was installed already"
	}
	for n, r := range i.Roots {
		if one := newInstalledCRLs(r); n == 0 {
			out.InstalledCRLs = one
		} else {
			out.Beside = append(out.Beside, one)
		}
	}
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		return s.describeInstalled(tx, i, in.Now, &out)
	})
	return out, err
}

func newInstalledCRLs(r authority.InstalledLists) api.InstalledCRLs {
	out := api.InstalledCRLs{Root: r.Root}
	for _, l := range r.Lists {
		out.CRLs, out.Until = append(out.CRLs, l.Number), l.NextUpdate
	}
	return out
}

// describeInstalled describes the keys and the new root that were installed.
func (s *Service) describeInstalled(tx storage.Tx, i authority.Installed, now bool, out *api.Installed) error {
	out.Keys, out.Remarks, out.Fresh = nil, nil, nil
	all, err := authority.Purposes().List(tx)
	if err != nil {
		return err
	}
	cas, err := caCertificates(tx)
	if err != nil {
		return err
	}
	for _, k := range i.Keys {
		if k, err = keys.Get(tx, k.ID); err != nil {
			return err
		}
		early, err := s.early(tx, k, all, cas, now)
		if err != nil {
			return err
		}
		out.Keys, out.Remarks = append(out.Keys, newKey(k, cas[k.ID])), append(out.Remarks, early...)
	}
	if i.Fresh.ID == "" {
		return nil
	}
	k, err := keys.Get(tx, i.Fresh.ID)
	fresh := newKey(k, cas[k.ID])
	out.Fresh = &fresh
	return err
}
