package server

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

// problems says what keeps the authority from doing its work.
func (s *Server) problems(ctx context.Context) []string {
	var found []string
	now := s.clock.Now()
	if err := s.db.View(ctx, func(storage.Tx) error { return nil }); err != nil {
		found = append(found, "the store cannot be read: "+err.Error())
	}
	if err := s.db.Trouble(); err != nil {
		found = append(found, "the store cannot be written: "+err.Error())
	}
	if err := s.clock.Check(); err != nil {
		found = append(found, err.Error())
	}
	if !s.listsValid() {
		found = append(found, "the CRL is not current")
	}
	if end := s.ca.Issuer().NotAfter; !now.Before(end) {
		found = append(found, fmt.Sprintf("the issuer expired at %s: run brevet key rotate issuer", end.Format(time.RFC3339)))
	}
	if https := s.ca.HTTPSIssuer(); https != s.ca.Issuer() && !now.Before(https.NotAfter) {
		found = append(found, fmt.Sprintf("the https-issuer expired at %s: run brevet key rotate https-issuer", https.NotAfter.Format(time.RFC3339)))
	}
	return append(found, s.expiredProfiles(now)...)
}

// status fills in what only the server knows; package admin adds the counts.
func (s *Server) status(ctx context.Context) (api.Status, error) {
	st := api.Status{
		Version: s.Version, TrustDomain: string(s.file.TrustDomain), Advertise: s.file.Advertise, Started: s.started.UTC(),
		Problems: s.problems(ctx), Events: s.events(), StoreBytes: s.db.Stats().Size, IssuerExpires: s.issuerEnds(),
	}
	st.Healthy = len(st.Problems) == 0
	if c := s.tls.current.Load(); c != nil {
		st.ServerExpires = c.Leaf.NotAfter
	}
	err := s.db.View(ctx, func(tx storage.Tx) error {
		roots, _, err := hierarchies(tx)
		for _, root := range roots {
			st.RootFingerprint = append(st.RootFingerprint, fingerprint(root))
			if st.RootExpires.IsZero() || root.NotAfter.Before(st.RootExpires) {
				st.RootExpires = root.NotAfter
			}
		}
		return errors.Join(err, s.counts(tx, &st))
	})
	return st, err
}

// issuerEnds returns when the first of the issuers at work ends. One that no
// profile needs does no work.
func (s *Server) issuerEnds() time.Time {
	end := s.ca.Issuer().NotAfter
	if https := s.ca.HTTPSIssuer().NotAfter; https.Before(end) {
		end = https
	}
	for _, name := range s.special() {
		if i, err := s.ca.IssuerOf(name); err == nil && i.NotAfter.Before(end) {
			end = i.NotAfter
		}
	}
	return end
}

func (s *Server) counts(tx storage.Tx, st *api.Status) error {
	st.Agents = map[string]int{}
	for a, err := range agents.All(tx) {
		if err != nil {
			return err
		}
		if a.Name != agents.Authority {
			st.Agents[string(a.State)]++
		}
	}
	return nil
}

func parseEd25519(spki []byte) (ed25519.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, err
	}
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a key of type %T", key)
	}
	return public, nil
}
