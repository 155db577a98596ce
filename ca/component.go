package ca

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Clear compares composite keys that are to be registered with the certificates on
// record: see [components.Census.Clear].
func (ca *CA) Clear(ctx context.Context, now time.Time, keys ...components.Key) (components.Clearance, error) {
	return ca.census.Clear(ctx, now, keys...)
}

// onRecord shows the census the certificates on record.
type onRecord struct{}

// Alive implements [components.Certificates].
func (onRecord) Alive(tx storage.Tx, from time.Time) iter.Seq2[components.Certified, error] {
	return func(yield func(components.Certified, error) bool) {
		for c, err := range Since(tx, from) {
			if !yield(components.Certified{Key: c.KeyHash, Expires: c.ID.Expires()}, err) {
				return
			}
		}
	}
}

// Since implements [components.Certificates].
func (onRecord) Since(tx storage.Tx, position int64, now time.Time) iter.Seq2[components.Certified, error] {
	return func(yield func(components.Certified, error) bool) {
		for e, err := range audit.Since(tx, position) {
			if err != nil {
				yield(components.Certified{}, err)
				return
			}
			if e.Action != audit.CertificateIssue || e.Decision != audit.Allow {
				continue
			}
			c, err := issuedBy(tx, e)
			if errors.Is(err, storage.ErrNotFound) && !now.Add(clock.Tolerance).Before(c.ID.Expires()) {
				continue // the store has dropped it since it expired
			}
			if !yield(components.Certified{Key: c.KeyHash, Expires: c.ID.Expires()}, err) || err != nil {
				return
			}
		}
	}
}

// issuedBy returns the certificate that an event names. If it is not on record, only
// the serial number is filled in.
func issuedBy(tx storage.Tx, e audit.Event) (Certificate, error) {
	id, err := agents.ParseCredentialID(e.Credential)
	if err != nil {
		return Certificate{}, fmt.Errorf("event %d: %w", e.Seq, err)
	}
	c, err := Get(tx, id)
	c.ID = id
	return c, err
}
