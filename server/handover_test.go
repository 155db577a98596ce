package server_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"path/filepath"
	"testing"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// rotateAll rotates the keys that sign backups.
func rotateAll(t *testing.T, w *servertest.World) {
	t.Helper()
	for _, purpose := range []string{"audit", "issuer"} {
		if _, err := w.Admin.RotateKeyNow(t.Context(), purpose, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKeptKeysLeadToLaterOnes: public keys and checkpoints from before rotations check a backup
// from after them, because each key signed its successor.
func TestKeptKeysLeadToLaterOnes(t *testing.T) {
	for _, algorithm := range []string{"ecdsa-p256", "ecdsa-p256+mldsa44", "mldsa44-ed25519-sha512", "mldsa44"} {
		t.Run(algorithm, func(t *testing.T) {
			k := newKeptWorld(t, algorithm)
			rotateAll(t, k.World)
			rotateAll(t, k.World)
			file := filepath.Join(t.TempDir(), "later.db")
			backup(t, k.World, file)
			for what, e := range k.evidences() {
				c, err := server.CheckBackup(file, e)
				if err != nil || len(c.Followed) < 2 != (what == "nothing") || len(c.SignedBy) == 0 {
					t.Errorf("by %s: %+v, %v", what, c, err)
				}
				if what == "the issuer's key" {
					continue // it signs no checkpoint
				}
				if c, err := server.CheckLog(file, e); err != nil || (len(c.Followed) < 2) != (what == "nothing") {
					t.Errorf("the log by %s: %+v, %v", what, c, err)
				}
			}
			stolen(t, k)
		})
	}
}

// stolen: an issuer's key that is rotated because it is stolen vouches for no other one. Only the
// backup says that it is stolen, so somebody who kept it with the audit key needs the new one.
func stolen(t *testing.T, k keptWorld) {
	t.Helper()
	if _, err := k.Admin.RotateCompromisedKey(t.Context(), "issuer", ""); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "stolen.db")
	backup(t, k.World, file)
	for what, e := range k.evidences() {
		if c, err := server.CheckBackup(file, e); (err == nil) != (what != "the issuer's key" && what != "all") {
			t.Errorf("after a compromise, by %s: %+v, %v", what, c, err)
		}
	}
}

// TestForgedHandoverLeadsNowhere: an attacker with a store of their own writes handovers from
// the keys that the operator kept, without their signatures.
func TestForgedHandoverLeadsNowhere(t *testing.T) {
	k := newKeptWorld(t, "ecdsa-p256")
	for what, forge := range map[string]func(h map[string]any, kept []byte){
		"their own signature":   func(h map[string]any, kept []byte) { h["from"] = [][]byte{kept} },
		"no signature":          func(h map[string]any, kept []byte) { h["from"], h["signatures"] = [][]byte{kept}, [][]byte{} },
		"one key too many":      func(h map[string]any, kept []byte) { h["from"] = append(h["from"].([]any), kept) },
		"from no key":           func(h map[string]any, kept []byte) { h["from"], h["signatures"] = [][]byte{}, [][]byte{} },
		"the key itself and it": func(h map[string]any, kept []byte) { h["to"] = append(h["to"].([]any), kept) },
	} {
		forger := newKeptWorld(t, "ecdsa-p256")
		rotateAll(t, forger.World)
		forger.Stop()
		for _, purpose := range []string{"audit", "issuer"} {
			block, _ := pem.Decode(k.keys[purpose])
			forgeHandovers(t, forger.File("brevet.db"), purpose, func(h map[string]any) { forge(h, block.Bytes) })
		}
		forger.Start()
		file := filepath.Join(t.TempDir(), "forged.db")
		backup(t, forger.World, file)
		for by, e := range k.evidences() {
			if c, err := server.CheckBackup(file, e); (err == nil) != (by == "nothing") {
				t.Errorf("%s, by %s: %+v, %v", what, by, c, err)
			}
			if c, err := server.CheckLog(file, e); (err == nil) != (by == "nothing") {
				t.Errorf("%s, the log by %s: %+v, %v", what, by, c, err)
			}
		}
	}
}

// forgeHandovers changes the handovers of a purpose in a store.
func forgeHandovers(t *testing.T, file, purpose string, forge func(map[string]any)) {
	t.Helper()
	db, err := bolt.Open(file, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = db.Update(context.Background(), func(tx storage.Tx) error {
		changed := map[string][]byte{}
		for id, text := range tx.Scan("handovers", "") {
			var h map[string]any
			if err := json.Unmarshal(text, &h); err != nil {
				return err
			}
			if h["purpose"] != purpose {
				continue
			}
			forge(h)
			if changed[id], err = json.Marshal(h); err != nil {
				return err
			}
		}
		n = len(changed)
		for id, text := range changed {
			if err := tx.Put("handovers", id, text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
