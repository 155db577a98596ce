package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix"
)

// A relyingParty checks the chains of agents, with CRLs that it has as a file.
type relyingParty struct {
	roots *trust
	lists []*pkix.CRL

	issuers map[string]bool // that it has seen
}

// https is how stock clients reach the authority.
func (r *relyingParty) https() *tls.Config { return r.roots.config() }

// load fetches the file of CRLs by an agent, as client crl does.
func (r *relyingParty) load(ctx context.Context, by *Identity) error {
	text, err := by.CRLs(ctx)
	if err != nil {
		return err
	}
	var lists []*pkix.CRL
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		list, err := pkix.ParseCRL(block.Bytes)
		if err != nil {
			return err
		}
		lists = append(lists, list)
	}
	r.lists = lists
	return nil
}

// accepts checks a chain and that none of it is revoked. Every CA must have a CRL.
func (r *relyingParty) accepts(chain [][]byte) error {
	o := &pkix.Options{Roots: r.roots.roots, Time: time.Now(), Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CRLs: r.lists, RequireCRLs: true}
	var leaf *pkix.Certificate
	for _, der := range chain {
		c, err := pkix.ParseCertificate(der)
		if err != nil {
			return err
		}
		if leaf == nil {
			leaf = c
		} else {
			o.Intermediates = append(o.Intermediates, c)
		}
	}
	if _, err := leaf.Verify(o); err != nil {
		return fmt.Errorf("a relying party refuses the certificate: %w", err)
	}
	r.issuers[string(leaf.X509.AuthorityKeyId)] = true
	return nil
}
