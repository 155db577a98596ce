package server

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage/audit"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

type (
	// An InitConfig describes a new authority.
	InitConfig = authority.InitConfig
	// A NewAuthority is what Init made.
	NewAuthority = authority.Made
	// Evidence is what somebody kept outside of a file.
	Evidence = authority.Evidence
	// Checked says what a file was found to be.
	Checked = authority.Checked
	// A RestoreConfig says what to restore.
	RestoreConfig = authority.RestoreConfig
	// BackedUp says which segments of the log there are beside a backup.
	BackedUp = authority.BackedUp
	// A CheckedSegment says what a segment of the log was found to be.
	CheckedSegment = authority.CheckedSegment
	// Restored is what Restore came to.
	Restored = authority.Restored
	// A SealConfig says how key files are to be sealed.
	SealConfig = authority.SealConfig
	// A SealFileConfig says how a key file elsewhere is to be sealed.
	SealFileConfig = authority.SealFileConfig
	// Resealed is what Seal did.
	Resealed = authority.Resealed
	// A Passphrase seals and unseals key files. It prints as "[hidden]".
	Passphrase = keyfile.Passphrase
	// AskPassphrase asks somebody for a passphrase.
	AskPassphrase = keyfile.Ask
)

// Init makes a new authority in c.Dir, see [authority.Init].
func Init(ctx context.Context, c InitConfig, now time.Time) (*NewAuthority, error) {
	return authority.Init(ctx, c, now)
}

// NewPassphrase returns text as a passphrase: one line of at most 1023 bytes.
func NewPassphrase(text []byte) (Passphrase, error) { return keyfile.NewPassphrase(text) }

// ReadPassphrase reads a passphrase from a file, see ReadPassphrase of storage/keys/file.
func ReadPassphrase(source string) (Passphrase, error) { return keyfile.ReadPassphrase(source) }

// NoPassphrase is that of keys that are not sealed.
var NoPassphrase = keyfile.NoPassphrase

// SealFile changes the passphrase of one key file, see [authority.SealFile].
func SealFile(c SealFileConfig) (*Resealed, error) { return authority.SealFile(c) }

// Seal changes the passphrase of an authority's key files, see [authority.Seal].
func Seal(ctx context.Context, c SealConfig, now time.Time) (*Resealed, error) {
	return authority.Seal(ctx, c, now)
}

// CheckAlgorithm returns an error unless s names an algorithm of keys.
func CheckAlgorithm(s string) error { return authority.CheckAlgorithm(s) }

// CheckAction returns an error unless s names an action of the audit log, or what some of
// them begin with, such as agent.
func CheckAction(s string) error {
	for _, a := range audit.Actions() {
		if rest, ok := strings.CutPrefix(string(a.Action), s); ok && s != "" && (rest == "" || rest[0] == '.') {
			return nil
		}
	}
	return fmt.Errorf("invalid action %.80q: want one of docs/audit-events.md, such as agent.add, or agent for all that begin so", s)
}

// CheckBackup checks a backup, its audit log and its signed digest, see
// [authority.CheckBackup].
func CheckBackup(file string, e Evidence) (Checked, error) { return authority.CheckBackup(file, e) }

// WriteKeys returns public keys in PEM with what they are for, see [authority.WriteKeys].
func WriteKeys(all []api.Key) []byte { return authority.WriteKeys(all) }

// CheckCopy checks a backup that was made just now, see [authority.CheckCopy].
func CheckCopy(file string) error { return authority.CheckCopy(file) }

// CopySegments copies the segments of a backup's log, see [authority.CopySegments].
func CopySegments(file string, fetch func(name string, w io.Writer) error) (BackedUp, error) {
	return authority.CopySegments(file, fetch)
}

// CheckSegment checks a segment of an audit log, see [authority.CheckSegment].
func CheckSegment(file string, keys []byte) (CheckedSegment, error) {
	return authority.CheckSegment(file, keys)
}

// CheckLog checks the audit log in a file, see [authority.CheckLog].
func CheckLog(file string, e Evidence) (Checked, error) { return authority.CheckLog(file, e) }

// CheckProof checks a proof that an entry is in the audit log, see [authority.CheckProof].
func CheckProof(proof, keys []byte) (entry []byte, size int64, err error) {
	return authority.CheckProof(proof, keys)
}

// Restore puts a backup in place of a store, see [authority.Restore].
func Restore(ctx context.Context, c RestoreConfig, now time.Time) (*Restored, error) {
	return authority.Restore(ctx, c, now)
}
