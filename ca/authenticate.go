package ca

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// ErrNotOurs says that this authority did not issue the client certificate to an
// agent.
var ErrNotOurs = agents.NewRefusalOf(agents.Proof, "certificate_not_ours", "client certificate was not issued to an agent by this authority", nil)

// Find returns the record of an agent's certificate that somebody shows, whether or not
// it may still be used, or [ErrNotOurs]. It recognizes the certificate by its
// record and the hash in it, not by its signature. So it does not accept
// certificates that somebody signed with a stolen issuing key.
func Find(tx storage.Tx, cert *x509.Certificate) (Certificate, error) {
	c, err := find(tx, cert)
	if err == nil && !c.Agent.OfAgent() {
		err = ErrNotOurs
	}
	return c, err
}

// FindOperator is Find for a certificate of an operator, who may do nothing by Find.
func FindOperator(tx storage.Tx, cert *x509.Certificate) (c Certificate, person string, err error) {
	if c, err = find(tx, cert); err != nil {
		return c, "", err
	}
	person, ok := c.Agent.Person()
	if !ok {
		return c, "", ErrNotOurs
	}
	return c, person, nil
}

// find is Find for agents and operators.
func find(tx storage.Tx, cert *x509.Certificate) (Certificate, error) {
	var id agents.CredentialID
	if n := cert.SerialNumber; n.Sign() <= 0 || n.BitLen() > 8*len(id) {
		return Certificate{}, ErrNotOurs
	}
	cert.SerialNumber.FillBytes(id[:])
	if id[0] >= 0x80 {
		return Certificate{}, ErrNotOurs
	}
	hash := sha256.Sum256(cert.Raw) // also of one that is not on record, so that both take the same time
	c, err := Get(tx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return Certificate{}, ErrNotOurs
	}
	if err != nil {
		return c, err
	}
	if subtle.ConstantTimeCompare(hash[:], c.Fingerprint[:]) != 1 || c.Agent == agents.Authority {
		return c, ErrNotOurs
	}
	return c, nil
}

// Authenticate returns the agent of a certificate, and the certificate's record.
// A TLS client has presented the certificate and has proven that it has the key.
func Authenticate(tx storage.Tx, cert *x509.Certificate, now time.Time) (agents.Agent, Certificate, error) {
	c, err := Find(tx, cert)
	return standing(tx, c, err, cert, now)
}

// authenticate is Authenticate for agents and operators.
func authenticate(tx storage.Tx, cert *x509.Certificate, now time.Time) (agents.Agent, Certificate, error) {
	c, err := find(tx, cert)
	return standing(tx, c, err, cert, now)
}

// standing returns what a certificate that was looked up comes to.
func standing(tx storage.Tx, c Certificate, err error, cert *x509.Certificate, now time.Time) (agents.Agent, Certificate, error) {
	if errors.Is(err, ErrNotOurs) && c.Agent == "" && !now.Before(cert.NotAfter) { // forgotten, perhaps
		return agents.Agent{}, c, fmt.Errorf("%w since %s", agents.ErrCredentialExpired, cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if err != nil {
		return agents.Agent{}, c, err
	}
	// notBefore is not checked here: the status check allows for a clock that was
	// set back a little (agents.ClockTolerance), which must not lock agents out.
	a, err := agents.NewStanding(tx, now).Check(c.Credential)
	return a, c, err
}
