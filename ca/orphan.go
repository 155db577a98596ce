package ca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
)

// orphans holds the certificates that were renewed although their issuer was
// compromised, until they expire.
const orphans = storage.Partitioned[agents.CredentialID]("orphans")

// AuthenticateOrphan is [Authenticate] for a renewal, by agents and operators: a certificate that is dead only
// because its issuer's key is compromised renews once. So agents go on when an issuer is
// stolen. The thief cannot make such a certificate, because the record has the hash of the
// whole one.
func AuthenticateOrphan(tx storage.Tx, cert *x509.Certificate, now time.Time) (agents.Agent, Certificate, error) {
	a, c, err := authenticate(tx, cert, now)
	if !errors.Is(err, agents.ErrRevoked) {
		return a, c, err
	}
	a, err = Renewable(tx, agents.NewStanding(tx, now), c.Credential)
	return a, c, err
}

// Renewable returns the agent of a certificate that may be used, if only to renew once
// because its issuer is compromised.
func Renewable(tx storage.Tx, s *agents.Standing, c agents.Credential) (agents.Agent, error) {
	orphan, err := s.Orphan(c)
	if err != nil {
		return agents.Agent{}, err
	}
	if orphan {
		_, used := orphans.Get(tx, c.ID.Expires(), c.ID.Key())
		if errors.Is(used, storage.ErrNotFound) {
			return s.CheckOrphan(c)
		}
		if used != nil {
			return agents.Agent{}, used
		}
	}
	return s.Check(c)
}

// Renews is the check of a claim by [AuthenticateOrphan]. It uses up the one renewal of a
// certificate whose issuer is compromised.
func Renews(c agents.Credential) policy.Check {
	return func(tx storage.Tx, s *agents.Standing) error {
		if _, err := Renewable(tx, s, c); err != nil {
			return err
		}
		orphan, err := s.Orphan(c)
		if err != nil || !orphan {
			return err
		}
		return orphans.Create(tx, c.ID.Expires(), c.ID.Key(), c.ID)
	}
}

// ErrStopped says that the key of the issuer is compromised. It is not a refusal of the
// agent, which may try again when there is another issuer.
//
// Until then the server certifies its own HTTPS with that key, or nobody could ask it
// anything. The certificates are revoked from the start. Clients that check this refuse them.
// Clients that do not check it would believe the thief as well.
var ErrStopped = fmt.Errorf("%w: the key of the issuer is compromised, and another takes its place", clock.ErrUnavailable)

// stopped returns an error if the key of an issuer is compromised.
func stopped(tx storage.Tx, issuer string) error {
	if compromised, err := agents.IssuerCompromised(tx, issuer); err != nil || !compromised {
		return err
	}
	return ErrStopped
}
