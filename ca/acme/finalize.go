package acme

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// finalize exchanges a CSR for a certificate (RFC 8555, section 7.4). If several
// finalizations run at once, one wins: its transaction finds the order ready, records
// the certificate and leaves the order valid. The others' signatures are thrown away.
func (s *Service) finalize(r *request) (*answer, error) {
	var text string
	if err := r.read(map[string]any{"csr": &text}); err != nil {
		return nil, err
	}
	var o *order
	err := s.DB.View(r.ctx, func(tx storage.Tx) (err error) {
		o, err = s.findOrder(tx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := o.ready(r.now); err != nil {
		return nil, err
	}
	csr, err := s.parseCSR(r, o, text)
	if err != nil {
		return nil, err
	}
	if o, err = s.issue(r, o, csr); err != nil {
		return nil, err
	}
	return &answer{location: s.orderURL(o), body: s.document(o, r.now)}, nil
}

func (o *order) ready(now time.Time) error {
	if status := o.status(now); status != statusReady {
		return newProblem("orderNotReady", "the order is %s", status)
	}
	return nil
}

// parseCSR checks that a CSR asks for exactly the names of the order (RFC 8555, section
// 7.4), and that its key is not an account key (section 11.1).
func (s *Service) parseCSR(r *request, o *order, text string) (*ca.CSR, error) {
	der, err := strict.Base64(text)
	if err != nil {
		return nil, newProblem("badCSR", "csr is not the base64url of a DER request")
	}
	csr, err := ca.ParseCSR(der)
	if err != nil {
		return nil, newProblem("badCSR", "%v", err)
	}
	if err := s.noAccountKey(r, csr); err != nil {
		return nil, err
	}
	return csr, s.checkNames(r, o, csr)
}

// checkNames compares a CSR with its order.
func (s *Service) checkNames(r *request, o *order, csr *ca.CSR) error {
	asked, err := csr.Asked(s.TrustDomain, r.agent.Name)
	if err != nil {
		return newProblem("badCSR", "%s", policy.Told(err))
	}
	names := o.names()
	for _, n := range names {
		if !slices.Contains(asked, n) {
			return newProblem("badCSR", "the request lacks %.100q, which is in the order", n.Value)
		}
	}
	for _, n := range asked {
		if !slices.Contains(names, n) {
			return newProblem("badCSR", "the request asks for %.100q, which is not in the order", n.Value)
		}
	}
	return nil
}

// noAccountKey refuses the key of any account, dead or alive: the holder of such a
// certificate's key could act for the account.
func (s *Service) noAccountKey(r *request, csr *ca.CSR) error {
	public, err := x509.ParsePKIXPublicKey(csr.PublicKey)
	if err != nil {
		return nil // a post-quantum key: no account has one; ca.Issue checks its components
	}
	jwk, err := jose.Canonical(public)
	if err != nil {
		return newProblem("badCSR", "%v", err)
	}
	taken := false
	err = s.DB.View(r.ctx, func(tx storage.Tx) (err error) {
		taken, err = thumbprints.Has(tx, thumbprint(jwk))
		return err
	})
	if err == nil && taken {
		return newProblem("badCSR", "the key in the request is that of an account; make another")
	}
	return err
}

// issue makes the certificate of an order. The transaction that records it checks the
// order, the account and its agent again.
func (s *Service) issue(r *request, o *order, csr *ca.CSR) (*order, error) {
	profile, ttl, _ := s.profile(o.Profile)
	if !o.NotAfter.IsZero() {
		now, err := s.Clock.Issuing()
		if err != nil {
			return nil, err
		}
		if ttl = o.NotAfter.Sub(now); ttl < time.Second {
			return nil, newProblem("orderNotReady", "the order's notAfter has passed; order anew")
		}
	}
	var done *order
	_, err := s.CA.Issue(r.ctx, ca.Request{
		Claim: r.claim.By(audit.FulfilledOrder(o.ID.String())), CSR: csr, TTL: ttl, Profile: profile, Exact: true, CommonName: o.commonName(), Proven: o.proven(),
		Consume: func(tx storage.Tx, issued *ca.Issued) (err error) {
			done, err = s.fulfil(tx, r, o.ID, issued)
			return err
		},
	})
	return done, err
}

// commonName is the first DNS name of the order that can be one. Clients read the names
// to renew, and the name under which they file a certificate, from the certificate, and
// first from its common name (certbot, lego, Caddy). So it must be a name that they
// ordered, or absent. RFC 5280 allows 64 characters (ub-common-name).
func (o *order) commonName() string {
	for _, n := range o.names() {
		if n.Type == "dns" && len(n.Value) <= maxCommonName {
			return n.Value
		}
	}
	return ""
}

const maxCommonName = 64

// fulfil makes the order valid, in the transaction that records its certificate.
func (s *Service) fulfil(tx storage.Tx, r *request, id agents.CredentialID, issued *ca.Issued) (*order, error) {
	now := s.Clock.Now()
	o, err := getOrder(tx, r.account.ID, id)
	if err != nil {
		return nil, err
	}
	if err := o.ready(now); err != nil {
		return nil, err
	}
	if end := o.NotAfter.Truncate(time.Second); !o.NotAfter.IsZero() && !end.Equal(issued.ID.Expires()) {
		return nil, newProblem("orderNotReady", "the agent has been given an end before the order's notAfter; order anew")
	}
	if o.Replaces != nil {
		if err := replace(tx, *o.Replaces, id); err != nil {
			return nil, err
		}
	}
	if err := s.Policy.Return(tx, r.account.Agent, now, o.use()); err != nil {
		return nil, err
	}
	o.Serial, o.Issued, o.Issuer = &issued.ID, issued.DER, issued.Certificate.Issuer
	return o, o.put(tx)
}
