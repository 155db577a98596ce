package operator

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Authenticate returns the operator whose certificate a TLS client presented. They are refused
// if they may not operate now, or not by this certificate. The handshake asks before the client
// has proven to have the key, so a refusal is recorded as one of a stranger: counted.
func (s *Service) Authenticate(ctx context.Context, cert *x509.Certificate) (p policy.Principal, err error) {
	var holder agents.Name
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		c, person, err := ca.FindOperator(tx, cert)
		holder = c.Agent
		if errors.Is(err, ca.ErrNotOurs) {
			return fmt.Errorf("%w: the certificate is no operator's of this authority", policy.ErrNotOperator)
		}
		if err != nil {
			return err
		}
		n := persons.Name(person)
		p = policy.CertifiedPerson(n, cmp.Or(s.listed(n).Role, persons.Admin), c.Credential)
		p, err = p.Current(tx, agents.NewStanding(tx, s.Clock.Now()))
		return err
	})
	if err != nil {
		return policy.Principal{}, s.Policy.Refuse(ctx, policy.Query{Principal: presenter, Action: audit.OperatorConnect, Subject: string(holder), Time: s.Clock.Now()}, err)
	}
	return p, nil
}

// presenter shows a certificate at the address of operators.
var presenter = policy.Bearer("client certificate")
