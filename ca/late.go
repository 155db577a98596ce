package ca

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
)

// AuthenticateLate returns what an expired certificate says of its holder, who may renew it
// and do nothing else. A TLS client has presented the certificate and has proven that it has
// the key. The certificate names its agent. Whether it is one of the agent's is decided by the
// agent's list of recent certificates and the hash there. If the certificate is on the list
// and cannot be used, the credential comes with the error.
func (ca *CA) AuthenticateLate(tx storage.Tx, cert *x509.Certificate, now time.Time) (agents.Credential, policy.Check, error) {
	l, err := ca.late(cert)
	if err != nil {
		return agents.Credential{}, nil, err
	}
	record, err := Get(tx, l.ID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return agents.Credential{}, nil, err
	}
	l.Recorded = record.Fingerprint
	c, err := agents.NewStanding(tx, now).CheckLate(l)
	return c, func(_ storage.Tx, s *agents.Standing) error {
		_, err := s.CheckLate(l)
		return err
	}, err
}

// late reads a certificate that somebody shows.
func (ca *CA) late(cert *x509.Certificate) (agents.Late, error) {
	l := agents.Late{Fingerprint: sha256.Sum256(cert.Raw), KeyHash: sha256.Sum256(cert.RawSubjectPublicKeyInfo), Usual: ca.grace}
	if n := cert.SerialNumber; n.Sign() <= 0 || n.BitLen() > 8*len(l.ID) {
		return l, ErrNotOurs
	}
	cert.SerialNumber.FillBytes(l.ID[:])
	for _, u := range cert.URIs {
		if n, err := ca.td.ParseHolder(u.String()); err == nil {
			l.Agent = n
			return l, nil
		}
	}
	return l, ErrNotOurs
}

// RenewGrace is the window of agents that have none of their own.
func (ca *CA) RenewGrace() time.Duration { return ca.grace }

// onRecordOrList returns a certificate on record, or what the lists of recent certificates
// have of one that has expired.
func onRecordOrList(tx storage.Tx, serial agents.CredentialID, now time.Time) (Certificate, error) {
	c, err := Get(tx, serial)
	if !errors.Is(err, storage.ErrNotFound) || now.Before(serial.Expires()) {
		return c, err
	}
	left, late := agents.FindRecent(tx, "", serial)
	switch {
	case errors.Is(late, storage.ErrNotFound):
		return c, err
	case late != nil:
		return c, late
	}
	return Certificate{Credential: left.Credential, KeyHash: left.KeyHash}, nil
}
