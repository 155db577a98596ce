package server

import (
	"context"
	"log/slog"

	"github.com/brevet-ca/brevet/ca"
)

// A compromised remembers the keys that were revoked as compromised.
type compromised struct {
	ca  *ca.CA
	log *slog.Logger
}

// remember goes on where a revocation was interrupted.
func (c compromised) remember(ctx context.Context) {
	if err := c.ca.RememberCompromised(ctx); err != nil && ctx.Err() == nil {
		c.log.Error("compromised keys could not be remembered; the records of their certificates stay, trying again in a minute", "error", err)
	}
}
