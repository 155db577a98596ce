package operator

import (
	"context"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

func (s *Service) keyOperations() []Operation {
	return []Operation{
		operation(s, policy.Read, api.ListKeys, s.listKeys),
		operation(s, audit.KeyRotate, api.RotateKey, s.rotateKey),
		operation(s, audit.KeyWithdraw, api.WithdrawKey, s.withdrawKey),
		operation(s, audit.KeyDestroy, api.DestroyKey, s.destroyKey),
		operation(s, audit.KeyCancel, api.CancelKey, s.cancelKey),
		operation(s, audit.KeyRequest, api.RequestKey, s.requestKey),
		operation(s, audit.KeyInstall, api.InstallKey, s.installKey),
		operation(s, audit.KeyRotate, api.DryRunKey, s.dryRunKey),
		operation(s, audit.KeyRotate, api.DryRunAll, s.dryRunAll),
	}
}

func (s *Service) listKeys(ctx context.Context, _ policy.Principal, _ struct{}) ([]api.Key, error) {
	list := []api.Key{}
	err := s.DB.View(ctx, func(tx storage.Tx) error {
		all, err := authority.Purposes().List(tx)
		if err != nil {
			return err
		}
		cas, err := caCertificates(tx)
		if err != nil {
			return err
		}
		for _, k := range all {
			one := newKey(k, cas[k.ID])
			if one.Compromised, err = agents.IssuerCompromised(tx, k.ID); err != nil {
				return err
			}
			list = append(list, one)
		}
		return nil
	})
	return list, err
}

// caCertificates returns the record of each CA, by the identifier of its key.
func caCertificates(tx storage.Tx) (map[string]ca.Authority, error) {
	roots, issuers, err := ca.Authorities(tx)
	byID := map[string]ca.Authority{}
	for _, a := range append(roots, issuers...) {
		byID[a.ID] = a
	}
	return byID, err
}

func newKey(k keys.Key, a ca.Authority) api.Key {
	var from time.Time
	if spec, err := authority.Purposes().Of(k.Purpose); err == nil {
		from, _ = spec.AnnouncedUntil(k)
	}
	return api.Key{
		ID: k.ID, SignsFrom: from, Purpose: string(k.Purpose), Algorithm: string(k.Algorithm), State: string(k.State),
		Created: k.Created, Activated: k.Activated, Retired: k.Retired, Expires: a.NotAfter, Destroyed: k.Destroyed, Withdrawn: a.Withdrawn,
		Public: publicPEM(k),
	}
}

// publicPEM returns the public halves of a key.
func publicPEM(k keys.Key) string {
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.Public})
	if len(k.Alternative) > 0 {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.Alternative})...)
	}
	return string(text)
}

// rotation returns the purpose to rotate, and the new algorithm, if one is given.
func rotation(purpose, algorithm string) (p keys.Purpose, a keys.Algorithm, err error) {
	p = keys.Purpose(purpose) // which the rotation looks up
	if algorithm != "" {
		a, err = keys.ParseAlgorithm(algorithm)
	}
	return p, a, err
}

func (s *Service) dryRunKey(ctx context.Context, _ policy.Principal, in api.DryRunKeyRequest) (api.DryRun, error) {
	purpose, a, err := rotation(in.Purpose, in.Algorithm)
	if err != nil {
		return api.DryRun{}, err
	}
	return s.Authority.DryRun(ctx, purpose, a)
}

// dryRunAll is the dry run of moving the whole authority to an algorithm: its
// issuer and the token keys that could have it.
func (s *Service) dryRunAll(ctx context.Context, _ policy.Principal, in api.DryRunRequest) ([]api.DryRun, error) {
	a, err := keys.ParseAlgorithm(in.Algorithm)
	if err != nil {
		return nil, err
	}
	var all []api.DryRun
	moved := func(spec keys.PurposeSpec) bool {
		return (spec.Purpose == keys.Issuer || spec.Publishes == keys.JWKS) && spec.Check(a) == nil
	}
	for _, spec := range authority.Purposes().With(moved) {
		one, err := s.Authority.DryRun(ctx, spec.Purpose, a)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (s *Service) rotateKey(ctx context.Context, p policy.Principal, in api.RotateRequest) (out api.Rotated, err error) {
	purpose, a, err := rotation(in.Purpose, in.Algorithm)
	if err != nil {
		return out, err
	}
	asked := authority.Rotation{Purpose: purpose, Algorithm: a, Now: in.Now, Compromised: in.Compromised}
	if in.Compromised {
		return s.rotateCompromised(ctx, p, asked)
	}
	id, err := s.Authority.Rotate(ctx, p, asked)
	if err != nil {
		return out, err
	}
	return s.rotated(ctx, id, in.Now)
}

// cancelKey gives up a next key.
func (s *Service) cancelKey(ctx context.Context, p policy.Principal, in api.CancelRequest) (out api.Cancelled, err error) {
	purpose, a, err := rotation(in.Purpose, in.Algorithm)
	if err != nil {
		return out, err
	}
	gone, err := s.Authority.Cancel(ctx, p, purpose, a)
	if len(gone) == 0 {
		out.Purpose, out.Note = in.Purpose, fmt.Sprintf("no %s key is %s, so there is nothing to cancel", purpose, keys.StateNext)
		return out, err
	}
	out.Key = newKey(gone[0], ca.Authority{})
	if len(gone) > 1 {
		along := newKey(gone[1], ca.Authority{})
		out.Along = &along
	}
	return out, err
}
