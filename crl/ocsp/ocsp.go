// Package ocsp answers whether one certificate of this authority is revoked
// (RFC 6960, in the profile of RFC 5019). An answer is a view of the cutoffs, like
// the CRL. It is computed for each request, so a revocation shows in the very next
// answer: see [Responder.Respond].
//
// An answer is signed with the key of the certificate's issuer, so that every relying
// party that can verify the certificate can verify the answer: a composite issuer's
// answers have composite signatures. Answers have no alternative signature, because
// X.509 defines it for certificates and CRLs only. A relying party that requires
// hybrid signatures of such an issuer must use the CRL.
//
// Answers about issuers are signed by their root, ahead of any question and along with
// the root's CRL ([Ahead]), because the root's key may be kept elsewhere.
//
// The certificate must be on record. A request about any other, such as a made-up
// serial number, gets an unsigned error (RFC 5019, section 2.2.3), and so does a
// request about more than one certificate. Nonces (RFC 9654) are ignored: answers are
// reused within a minute. Signatures on requests are ignored, because answers are
// public. Delegated responders are not implemented.
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
	// ErrMalformed says that a request cannot be parsed, or asks for something that we
	// do not offer.
	ErrMalformed = errors.New("malformed OCSP request")
	// ErrUnauthorized says that the certificate of a request is not on record here.
	ErrUnauthorized = errors.New("no certificate of this authority on record")
)

// A Responder answers about certificates of the issuers of one CA.
type Responder struct {
	db      storage.DB
	ca      *ca.CA
	lists   *crl.Publisher
	clock   *clock.Clock
	log     *slog.Logger
	issuers atomic.Pointer[[]*issuer]
	kept    kept
}

// NewResponder returns a Responder. The publisher has the answers of roots.
func NewResponder(db storage.DB, authority *ca.CA, lists *crl.Publisher, clk *clock.Clock, log *slog.Logger) *Responder {
	return &Responder{db: db, ca: authority, lists: lists, clock: clk, log: log}
}

// A status is what an answer says of a certificate: good, unless it is revoked.
type status struct {
	revoked bool
	at      int64 // seconds since 1970
	reason  agents.Reason
}

// Respond returns the answer to a DER OCSPRequest. The error is [ErrMalformed],
// [ErrUnauthorized], or says why the answer could not be found. The answer reflects
// every revocation committed before the call.
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
	if i == nil {
		if a := r.ahead(id); a != nil {
			return a, nil
		}
	}
	if i == nil || !ok {
		return nil, ErrUnauthorized
	}
	// Take the date before the snapshot, so that the snapshot has everything committed
	// until the date.
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

// find returns the status of a certificate of this issuer.
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
