package authority

import (
	"context"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Destroyed reports whether the audit log in the store says that the key with this identifier
// was destroyed, and what it was for. The record of such a key is gone.
func (a *Authority) Destroyed(ctx context.Context, id string) (p keys.Purpose, found bool, err error) {
	var from int64
	err = a.DB.View(ctx, func(tx storage.Tx) (err error) {
		from, _, err = audit.Sealed(tx)
		return err
	})
	if err != nil {
		return "", false, err
	}
	for some, err := range a.AuditLog().Read(ctx, from) {
		if err != nil {
			return "", false, err
		}
		for _, e := range some {
			ends := e.Action == audit.KeyDestroy || e.Action == audit.KeyCompromise
			if ends && e.Decision == audit.Allow && e.Details != nil && e.Details.From == id {
				return keys.Purpose(e.Subject), true, nil
			}
		}
	}
	return "", false, nil
}
