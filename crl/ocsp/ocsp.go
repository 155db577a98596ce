// Package ocsp answers whether one certificate of this authority is revoked
// (RFC 6960, in the profile of RFC 5019). An answer is a view, like the CRL and
// of the same fact: it is computed for each request, so a revocation shows in
// the very next one, see [Responder.Respond].
//
// It is signed with the key of the certificate's issuer, so that whoever can
// check the certificate can check the answer: a composite issuer's answers have
// composite signatures. An alternative signature there is not: X.509 has it for
// certificates and CRLs alone, so who requires hybrid ones of an issuer that has
// a classical key outside asks the CRL.
//
// What is asked about must be on record. Everything else, such as a made-up
// serial number, is refused with an error that nobody signs (RFC 5019, section
// 2.2.3), and so are requests for more than one certificate. Nonces (RFC 9654)
// are not answered: answers are reused within a minute. Who signed a request is
// not looked at, since what is answered is public. Delegated responders are not
// implemented.
package ocsp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage"
)

var (
	// ErrMalformed says that a request is none, or asks for what is not offered.
	ErrMalformed = errors.New("malformed OCSP request")
	// ErrUnauthorized says that a request is about no certificate on record here.
	ErrUnauthorized = errors.New("no certificate of this authority on record")
)

// A Responder answers for the issuers of one CA.
type Responder struct {
	db      storage.DB
	ca      *ca.CA
	clock   *clock.Clock
	log     *slog.Logger
	issuers atomic.Pointer[[]*issuer]
	kept    kept
}

// NewResponder returns a Responder.
func NewResponder(db storage.DB, authority *ca.CA, clk *clock.Clock, log *slog.Logger) *Responder {
	return &Responder{db: db, ca: authority, clock: clk, log: log}
}

// A status is what an answer says of a certificate: good, unless it is revoked.
type status struct {
	revoked bool
	at      int64 // seconds since 1970
	reason  agents.Reason
}

// Respond returns the answer to a DER OCSPRequest, or an error that is
// [ErrMalformed] or [ErrUnauthorized], or says what kept it from finding out. It
// reflects every revocation committed before the call.
func (r *Responder) Respond(ctx context.Context, request []byte) (*Response, error) {
	id, err := parseRequest(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	i, err := r.issuer(id)
	if err != nil {
		return nil, err
	}
	serial, ok := id.credential()
	if i == nil || !ok {
		return nil, ErrUnauthorized
	}
	// The date is taken before the snapshot, which knows of all that is committed
	// until then.
	now, date := r.clock.Now(), r.clock.Shown().UTC().Truncate(time.Second)
	var s status
	err = r.db.View(ctx, func(tx storage.Tx) (err error) {
		s, err = find(tx, i.ID, serial, now, date)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.kept.answer(fact{i, string(id.der), serial, s}, date)
}

// find returns the status of a certificate that the issuer has issued.
func find(tx storage.Tx, issuer string, serial agents.CredentialID, now, date time.Time) (status, error) {
	c, err := ca.Get(tx, serial)
	if errors.Is(err, storage.ErrNotFound) || err == nil && c.Issuer != issuer {
		return status{}, ErrUnauthorized
	}
	if err != nil {
		return status{}, err
	}
	cutoff, dead, err := crl.Revoked(agents.NewStanding(tx, now), c.Credential, date)
	if err != nil || !dead {
		return status{}, err
	}
	return status{true, cutoff.Date().Unix(), cutoff.Reason}, nil
}
