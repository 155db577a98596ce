package server_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/keys"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// unlabelled are the lines that earlier versions did not print.
var unlabelled = regexp.MustCompile("(?m)^# .*\n")

// TestStolenAuditKeyForgesNoBackup: a thief of the audit key, who has no issuer's key, edits a backup
// and signs it, alone, with an issuer's key of their own or with one for which the audit key vouches.
func TestStolenAuditKeyForgesNoBackup(t *testing.T) {
	for _, algorithm := range []string{"ecdsa-p256", "ecdsa-p256+mldsa44", "mldsa44-ed25519-sha512", "mldsa44", "ed25519"} {
		k := newKeptWorld(t, algorithm)
		text, err := os.ReadFile(k.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, how := range []string{"alone", "with another issuer", "with a handover"} {
			file := filepath.Join(t.TempDir(), "forged.db")
			edit(t, file, text, false)
			forgeDigest(t, k.Dir, file, how)
			for what, e := range k.evidences() {
				weak := what == "nothing" || what == "the audit key" || what == "the checkpoint" // nothing else was kept
				if c, err := server.CheckBackup(file, e); (err == nil) != weak {
					t.Errorf("%s, %s, by %s: %+v, %v", algorithm, how, what, c, err)
				}
				if algorithm == "ed25519" {
					continue
				}
				e.Keys = unlabelled.ReplaceAll(e.Keys, nil)
				if c, err := server.CheckBackup(file, e); (err == nil) != weak {
					t.Errorf("%s, %s, by %s of an earlier version: %+v, %v", algorithm, how, what, c, err)
				}
			}
		}
	}
}

// forgeDigest signs a store with the audit key from a directory.
func forgeDigest(t *testing.T, dir, file, how string) {
	t.Helper()
	thief := keyfile.NewStore(t.TempDir(), keyfile.NoPassphrase)
	issuer, _, err := thief.Generate(keys.Issuer, keys.ECDSAP256, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(file, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var audit keys.Key
	err = db.Update(context.Background(), func(tx storage.Tx) (err error) {
		if audit, err = keys.Active(tx, keys.Audit); err != nil || how != "with a handover" {
			return err
		}
		message := fmt.Sprintf("brevet key handover v1\nissuer\n%s\n%x\n", servertest.TrustDomain, issuer.Public)
		h, err := json.Marshal(map[string]any{
			"purpose": "issuer", "from": [][]byte{audit.Public}, "to": [][]byte{issuer.Public}, "signatures": [][]byte{signed(t, dir, audit, message)},
		})
		if err != nil {
			return err
		}
		return tx.Put("handovers", issuer.ID, h)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	store, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sum, taken := sha256.Sum256(store), time.Now().UTC().Truncate(time.Second)
	message := func(p keys.Purpose) string {
		return fmt.Sprintf("brevet backup digest v1\n%s\n%s\n%s\n%d\n%x\n", p, servertest.TrustDomain, taken.Format(time.RFC3339), len(store), sum)
	}
	signatures := []map[string]any{{"purpose": "audit", "public": audit.Public, "signature": signed(t, dir, audit, message(keys.Audit))}}
	if how != "alone" {
		private, err := thief.Signer(issuer)
		if err != nil {
			t.Fatal(err)
		}
		all, err := keys.SignMessage(private, []byte(message(keys.Issuer)))
		if err != nil {
			t.Fatal(err)
		}
		signatures = append(signatures, map[string]any{"purpose": "issuer", "public": issuer.Public, "signature": all[0]})
	}
	d, err := json.Marshal(map[string]any{"trust_domain": servertest.TrustDomain, "taken": taken, "size": len(store), "sha256": hex.EncodeToString(sum[:]), "signatures": signatures})
	if err != nil {
		t.Fatal(err)
	}
	store = append(store, d...)
	store = append(binary.BigEndian.AppendUint64(store, uint64(len(d))), "brevet backup 1\n"...)
	if err := os.WriteFile(file, store, 0o600); err != nil {
		t.Fatal(err)
	}
}

func signed(t *testing.T, dir string, k keys.Key, message string) []byte {
	t.Helper()
	private, err := keyfile.NewStore(dir, keyfile.NoPassphrase).Signer(k)
	if err != nil {
		t.Fatal(err)
	}
	all, err := keys.SignMessage(private, []byte(message))
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}
