package operator

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

func (s *Service) authorityOperations() []Operation {
	return []Operation{
		operation(s, policy.Read, api.ShowCRL, s.showCRL),
		operation(s, policy.PublishCRL, api.PublishCRL, s.publishCRL),
		operation(s, policy.Read, api.ShowStatus, s.status),
		operation(s, policy.Read, api.Diagnose, s.diagnose),
		operation(s, audit.ConfigReload, api.Reload, s.reload),
		operation(s, audit.AuthorityReaddress, api.Readdress, s.readdress),
		operation(s, audit.AuthorityReaddress, api.PlanReaddress, s.planReaddress),
		operation(s, audit.AuthorityConfirm, api.ConfirmRestore, s.confirmRestore),
		operation(s, audit.AuthorityBackup, api.ConfirmBackup, s.confirmBackup),
	}
}

func (s *Service) showCRL(_ context.Context, _ policy.Principal, in api.CRLRequest) (api.CRL, error) {
	for _, l := range s.Authority.CRL.Current() {
		if in.Issuer == "" || in.Issuer == l.Issuer {
			return s.list(l)
		}
	}
	for _, l := range s.Authority.CRL.Stored() {
		if in.Issuer == l.Issuer {
			return s.list(l)
		}
	}
	return api.CRL{}, fmt.Errorf("CRL of issuer %q: %w", in.Issuer, storage.ErrNotFound)
}

func (s *Service) publishCRL(ctx context.Context, _ policy.Principal, _ struct{}) (api.CRL, error) {
	if err := s.Authority.CRL.PublishRoots(ctx, true); err != nil {
		return api.CRL{}, err
	}
	lists, err := s.Authority.CRL.PublishRegular(ctx)
	if err != nil {
		return api.CRL{}, err
	}
	return s.list(lists[0])
}

// list describes the published list. It parses the list itself.
func (s *Service) list(l *crl.CRL) (api.CRL, error) {
	out := s.summary(l)
	parsed, err := x509.ParseRevocationList(l.DER)
	if err != nil {
		return out, fmt.Errorf("reading CRL %d: %w", l.Number, err)
	}
	for _, e := range parsed.RevokedCertificateEntries {
		out.Entries = append(out.Entries, api.Entry{Serial: serialText(e.SerialNumber), RevokedAt: e.RevocationTime, Reason: agents.Reason(e.ReasonCode).String()})
	}
	return out, nil
}

// summary is what the publisher knows of a list without reading it.
func (s *Service) summary(l *crl.CRL) api.CRL {
	return api.CRL{
		Issuer: l.Issuer, Number: l.Number, ThisUpdate: l.ThisUpdate, NextUpdate: l.NextUpdate, Revoked: l.Entries,
		URL: s.Authority.BaseURL() + ca.CRLPath(l.Issuer),
	}
}

func serialText(n *big.Int) string {
	if n.BitLen() <= 128 {
		return fmt.Sprintf("%032x", n) // an issuer's
	}
	var id agents.CredentialID
	n.FillBytes(id[:])
	return id.String()
}

func (s *Service) status(ctx context.Context, _ policy.Principal, _ struct{}) (api.Status, error) {
	st, err := s.Authority.Status(ctx)
	if err != nil {
		return api.Status{}, err
	}
	if lists := s.Authority.CRL.Current(); len(lists) > 0 {
		st.CRL = s.summary(lists[0])
	}
	all, err := s.Count(ctx)
	st.Agents, st.Certificates, st.Tokens, st.ACMEAccounts = all.Agents, all.Certificates, all.Tokens, all.ACMEAccounts
	return st, err
}

func (s *Service) reload(ctx context.Context, p policy.Principal, _ struct{}) (api.Reloaded, error) {
	changed, err := s.Reload(ctx, p)
	if changed == nil {
		changed = []string{} // an empty list in JSON
	}
	return api.Reloaded{Changed: changed}, err
}

// confirmRestore records that what must stay ended after a restore is ended again.
func (s *Service) confirmRestore(ctx context.Context, p policy.Principal, _ struct{}) (out api.Confirmed, err error) {
	err = s.do(ctx, p, act{
		action: audit.AuthorityConfirm, subject: string(s.TrustDomain), reasons: []string{"what must stay ended after the restore is ended again"},
		change: func(tx storage.Tx, _ time.Time, _ *audit.Details) error {
			waited, err := agents.ConfirmRestore(tx)
			if out.Note = ""; !waited {
				out.Note = "no restore waits to be confirmed"
			}
			return err
		},
	})
	return out, err
}
