package server

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// loadAuditKey takes the key that signs checkpoints from the store.
func (s *Server) loadAuditKey() error {
	var key keys.Key
	err := s.db.View(context.Background(), func(tx storage.Tx) (err error) {
		key, err = keys.Active(tx, keys.Audit)
		return err
	})
	if err != nil {
		return err
	}
	private, err := s.keys.Signer(key)
	if err != nil {
		return err
	}
	signer, err := audit.NewSigner(s.origin(), private)
	if err != nil {
		return err
	}
	s.audit.Store(signer)
	return nil
}

// origin is the audit log's name in its checkpoints.
func (s *Server) origin() string { return string(s.file.TrustDomain) + "/brevet-audit" }

// checkpoint signs the audit log as it is in tx.
func (s *Server) checkpoint(tx storage.Tx) ([]byte, error) { return audit.Sign(tx, s.audit.Load()) }

// verifiers returns what checks the signatures of this log's keys, past and
// present.
func (s *Server) verifiers(tx storage.Tx) ([]ed25519.PublicKey, string, error) {
	all, err := keys.List(tx, keys.Audit)
	if err != nil {
		return nil, "", err
	}
	var public []ed25519.PublicKey
	for _, k := range all {
		key, err := parseEd25519(k.Public)
		if err != nil {
			return nil, "", fmt.Errorf("audit key %s: %w", k.ID, err)
		}
		public = append(public, key)
	}
	return public, s.origin(), nil
}
