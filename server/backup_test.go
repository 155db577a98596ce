package server_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// A kept world is an authority with a backup, and what its operator keeps elsewhere.
type keptWorld struct {
	*servertest.World
	file       string            // the backup
	keys       map[string][]byte // PEM, by purpose
	checkpoint []byte
}

func newKeptWorld(t *testing.T, algorithm string) keptWorld {
	k := keptWorld{
		World: servertest.New(t, func(c *server.InitConfig) { c.Algorithm = algorithm }),
		file:  filepath.Join(t.TempDir(), "backup.db"), keys: map[string][]byte{},
	}
	k.Add("bot", agents.Change{Scopes: []string{"read"}})
	v, err := k.Admin.VerifyLog(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	k.checkpoint = []byte(v.Checkpoint)
	k.Add("later", agents.Change{})
	all, err := k.Admin.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range all {
		k.keys[key.Purpose] = append(k.keys[key.Purpose], server.WriteKeys([]api.Key{key})...)
	}
	backup(t, k.World, k.file)
	return k
}

// evidences are all that may vouch for a backup.
func (k keptWorld) evidences() map[string]server.Evidence {
	return map[string]server.Evidence{
		"nothing": {}, "the audit key": {Keys: k.keys["audit"]}, "the issuer's key": {Keys: k.keys["issuer"]}, "the checkpoint": {Checkpoint: k.checkpoint},
		"all": {Keys: bytes.Join([][]byte{k.keys["audit"], k.keys["tokens"], k.keys["issuer"]}, nil), Checkpoint: k.checkpoint},
	}
}

// edit changes the registered agent in the store of a backup. The digest is lost or, if it
// is put back, not true.
func edit(t *testing.T, file string, text []byte, putBack bool) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	size := bytes.LastIndex(text, []byte(`{"trust_domain":`))
	if err := os.Truncate(file, int64(size)); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(file, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(context.Background(), func(tx storage.Tx) error {
		record, err := tx.Get("agents", "bot")
		if err != nil {
			return err
		}
		return tx.Put("agents", "bot", bytes.Replace(record, []byte(`"read"`), []byte(`"root"`), 1))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if putBack {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(text[size:]); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

// TestEditedBackupIsFound: with what was kept elsewhere, an edited or forged backup is
// found, whatever the algorithm of the authority.
func TestEditedBackupIsFound(t *testing.T) {
	for _, algorithm := range []string{"ecdsa-p256", "ecdsa-p256+mldsa44", "mldsa44-ed25519-sha512", "mldsa44"} {
		t.Run(algorithm, func(t *testing.T) {
			k := newKeptWorld(t, algorithm)
			for what, e := range k.evidences() {
				proven := "key"
				switch what {
				case "nothing":
					proven = ""
				case "the checkpoint":
					proven = "checkpoint"
				}
				c, err := server.CheckBackup(k.file, e)
				if err != nil || !c.Digest || c.Proven != proven || len(c.SignedBy) == 0 || c.TrustDomain != servertest.TrustDomain {
					t.Errorf("by %s: %+v, %v", what, c, err)
				}
			}
			text, err := os.ReadFile(k.file)
			if err != nil {
				t.Fatal(err)
			}
			edited := filepath.Join(t.TempDir(), "edited.db")
			for _, putBack := range []bool{false, true} {
				edit(t, edited, text, putBack)
				for what, e := range k.evidences() {
					c, err := server.CheckBackup(edited, e)
					if found := err != nil; found != (putBack || what != "nothing") {
						t.Errorf("digest put back: %t, by %s: %+v, %v", putBack, what, c, err)
					}
				}
				if c, err := server.CheckLog(edited, server.Evidence{Keys: k.keys["audit"]}); err != nil || c.Proven != "key" {
					t.Errorf("the log, which was not edited: %+v, %v", c, err)
				}
			}
			for _, at := range []int{len(text) / 3, len(text) - 40, len(text) - 500} {
				bad := bytes.Clone(text)
				bad[at] ^= 1
				if err := os.WriteFile(edited, bad, 0o600); err != nil {
					t.Fatal(err)
				}
				if c, err := server.CheckBackup(edited, server.Evidence{Keys: k.keys["audit"]}); err == nil {
					t.Errorf("octet %d of %d was changed: %+v", at, len(text), c)
				}
			}
		})
	}
}

// TestForgedBackupIsFound: somebody who makes a whole authority of the same name passes
// where nothing was kept elsewhere, and nowhere else.
func TestForgedBackupIsFound(t *testing.T) {
	k, forged := newKeptWorld(t, ""), newKeptWorld(t, "")
	for what, e := range k.evidences() {
		if c, err := server.CheckBackup(forged.file, e); (err == nil) != (what == "nothing") || c.Proven != "" && err == nil {
			t.Errorf("by %s: %+v, %v", what, c, err)
		}
	}
	proof, err := k.Admin.Prove(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if entry, size, err := server.CheckProof(proof, k.keys["audit"]); err != nil || !strings.HasPrefix(string(entry), `{"seq":1,`) || size < 2 {
		t.Errorf("a proof: %s of %d, %v", entry, size, err)
	}
	for what, keys := range map[string][]byte{"another's": forged.keys["audit"], "the issuer's": k.keys["issuer"], "none": {}, "no PEM": []byte("key")} {
		if entry, _, err := server.CheckProof(proof, keys); err == nil {
			t.Errorf("a proof by %s: %s", what, entry)
		}
	}
	k.Stop()
	if r, err := server.Restore(t.Context(), server.RestoreConfig{Dir: k.Dir, File: k.file, Evidence: server.Evidence{Keys: forged.keys["audit"]}}, k.Clock.Now()); err == nil {
		t.Errorf("restored by another's key: %+v", r)
	}
	r, err := server.Restore(t.Context(), server.RestoreConfig{Dir: k.Dir, File: k.file, Evidence: server.Evidence{Keys: k.keys["audit"]}}, k.Clock.Now())
	if err != nil || r.Checked.Proven != "key" {
		t.Fatalf("%+v, %v", r, err)
	}
	// The restored store is a store alone: the digest is not true for it any more.
	if c, err := server.CheckBackup(k.File("brevet.db"), server.Evidence{}); err != nil || c.Digest {
		t.Errorf("the restored store: %+v, %v", c, err)
	}
}
