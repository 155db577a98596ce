package authority

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// loadAuditKey takes the key that signs checkpoints from the store.
func (a *Authority) loadAuditKey() error {
	var key keys.Key
	err := a.DB.View(context.Background(), func(tx storage.Tx) (err error) {
		key, err = keys.Active(tx, keys.Audit)
		return err
	})
	if err != nil {
		return err
	}
	private, err := a.Keys.Signer(key)
	if err != nil {
		return err
	}
	signer, err := audit.NewSigner(origin(a.File.TrustDomain), private)
	if err != nil {
		return err
	}
	a.audit.Store(signer)
	return nil
}

// origin is the audit log's name in its checkpoints.
func origin(td agents.TrustDomain) string { return string(td) + logName }

const logName = "/brevet-audit"

// Checkpoint signs the audit log as it is in tx.
func (a *Authority) Checkpoint(tx storage.Tx) ([]byte, error) { return audit.Sign(tx, a.audit.Load()) }

// Covered returns how many events the saved checkpoint covers.
func (a *Authority) Covered(ctx context.Context) (n int64) {
	a.DB.View(ctx, func(tx storage.Tx) error {
		saved, err := audit.Saved(tx)
		if lines := strings.Split(string(saved), "\n"); err == nil && len(lines) > 2 {
			n, err = strconv.ParseInt(lines[1], 10, 64) // C2SP tlog-checkpoint
		}
		return err
	})
	return n
}

// SaveCheckpoint keeps a signed checkpoint of the audit log, and the time, in the
// store.
func (a *Authority) SaveCheckpoint(ctx context.Context) error {
	var signed []byte
	err := a.DB.View(ctx, func(tx storage.Tx) (err error) {
		signed, err = a.Checkpoint(tx)
		return err
	})
	if err != nil {
		return err
	}
	return a.DB.Update(ctx, func(tx storage.Tx) error {
		return errors.Join(audit.Save(tx, signed), a.noteClock(tx))
	})
}

// Verifiers returns what checks this log's checkpoints: its keys, past and present.
func (a *Authority) Verifiers(tx storage.Tx) ([]audit.Verifier, error) {
	return verifiers(tx, a.File.TrustDomain)
}

func verifiers(tx storage.Tx, td agents.TrustDomain) ([]audit.Verifier, error) {
	all, err := keys.List(tx, keys.Audit)
	if err != nil {
		return nil, err
	}
	list := make([]audit.Verifier, len(all))
	for i, k := range all {
		public, err := parseEd25519(k.Public)
		if err != nil {
			return nil, fmt.Errorf("audit key %s: %w", k.ID, err)
		}
		if list[i], err = audit.NewVerifier(origin(td), public); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func parseEd25519(spki []byte) (ed25519.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, err
	}
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a key of type %T", key)
	}
	return public, nil
}
