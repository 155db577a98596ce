package operator

import (
	"context"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
)

// planReaddress says what a move to another URL would do, and whom it concerns.
func (s *Service) planReaddress(ctx context.Context, _ policy.Principal, in api.ReaddressRequest) (api.Readdressed, error) {
	m, err := s.Authority.PlanMove(ctx, in.URL, in.Until)
	if err != nil {
		return api.Readdressed{}, err
	}
	return s.readdressed(ctx, m)
}

// readdress moves the authority to another URL.
func (s *Service) readdress(ctx context.Context, p policy.Principal, in api.ReaddressRequest) (api.Readdressed, error) {
	m, err := s.Authority.Readdress(ctx, p, in.URL, in.Until)
	if err != nil {
		return api.Readdressed{}, err
	}
	return s.readdressed(ctx, m)
}

func (s *Service) readdressed(ctx context.Context, m authority.Move) (api.Readdressed, error) {
	r := api.Readdressed{
		From: m.From, To: m.To, Issuer: m.Issuer, Until: m.Until, Moved: m.Since, NeededUntil: m.Ends, Advertise: m.Advertise, Note: m.Note, Agents: []api.AffectedAgent{}, Parties: s.Authority.JudgeMove(),
	}
	if m.Note != "" {
		return r, nil
	}
	if m.Base != m.NewBase {
		r.Published, r.PublishedNow, r.Certificates, r.CertificatesUntil = m.Base, m.NewBase, m.Certificates, m.Covers
		named, err := s.Authority.Named(ctx, m.Base)
		if err != nil {
			return r, err
		}
		for _, n := range named {
			r.CAs = append(r.CAs, api.NamingCA{ID: n.ID, Purpose: string(n.Purpose), Expires: n.Ends})
		}
	}
	err := s.DB.View(ctx, func(tx storage.Tx) error {
		for a, err := range agents.All(tx) {
			if err != nil {
				return err
			}
			if a.Name == agents.Authority || a.Usable(s.Clock.Now()) != nil {
				continue
			}
			used, err := s.LastUse.Last(tx, a.Name)
			if err != nil {
				return err
			}
			r.Agents = append(r.Agents, api.AffectedAgent{Name: string(a.Name), LastUsed: used.UTC()})
		}
		return nil
	})
	slices.SortStableFunc(r.Agents, func(a, b api.AffectedAgent) int { return b.LastUsed.Compare(a.LastUsed) })
	return r, err
}
