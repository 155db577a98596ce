package ca

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Apart clears the halves of a key for the transaction that registers or certifies
// it: none is the key of a live certificate. It fails with [components.ErrShared] if
// one is, and so does the check of the clearance. Keys that are composites or
// registered are in the index of package agents, which is asked as well.
//
// All certificates are looked at before the transaction, which looks only at what
// happened since: nobody who writes waits for a composite.
func (ca *CA) Apart(ctx context.Context, c components.Key, now time.Time) (components.Clearance, error) {
	if len(c.Halves) == 0 {
		return components.Clearance{}, nil
	}
	events, err := ca.census.check(ctx, ca.db, c, now)
	if err != nil {
		return components.Clearance{}, err
	}
	return components.NewClearance(c, func(tx storage.Tx) error {
		for cert, err := range issuedSince(tx, events, now) {
			if err != nil {
				return err
			}
			if slices.Contains(c.Halves, cert.KeyHash) && now.Before(cert.ID.Expires()) {
				return components.ErrShared
			}
		}
		return nil
	}), nil
}

// issuedSince yields the certificates that the audit log tells of from a position
// on. Those that are forgotten already are left out.
func issuedSince(tx storage.Tx, position int64, now time.Time) iter.Seq2[Certificate, error] {
	return func(yield func(Certificate, error) bool) {
		for e, err := range audit.Since(tx, position) {
			if err != nil {
				yield(Certificate{}, err)
				return
			}
			if e.Action != audit.CertificateIssue || e.Decision != audit.Allow {
				continue
			}
			c, err := issuedBy(tx, e)
			if errors.Is(err, storage.ErrNotFound) && !now.Before(c.ID.Expires()) {
				continue
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// issuedBy returns the certificate that an event tells of, or of one that is not
// on record only the serial number.
func issuedBy(tx storage.Tx, e audit.Event) (Certificate, error) {
	id, err := agents.ParseCredentialID(e.Credential)
	if err != nil {
		return Certificate{}, fmt.Errorf("event %d: %w", e.Seq, err)
	}
	c, err := Get(tx, id)
	c.ID = id
	return c, err
}
