package audit

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/brevet-ca/brevet/storage"
)

// maxCheckpoint bounds a signed checkpoint: about 150 bytes, and signatures that
// witnesses may have added.
const maxCheckpoint = 16 << 10

// ErrOtherKey says that none of the keys that are given signed a checkpoint.
var ErrOtherKey = errors.New("checkpoint is not signed by the key of this log")

// A Checkpoint fixes the whole log at a size by one hash.
type Checkpoint struct {
	Origin string // the log's name, which is the name of its key
	Size   int64
	Root   tlog.Hash
}

// String returns the text that is signed (https://c2sp.org/tlog-checkpoint).
func (c Checkpoint) String() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// parseCheckpoint reads what String wrote. Extension lines, which this log
// does not write, are refused.
func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] == "" {
		return Checkpoint{}, errors.New("checkpoint is not of the three lines origin, size and root hash")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || size > maxSize {
		return Checkpoint{}, errors.New("checkpoint has no valid size in its second line")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, errors.New("checkpoint has no valid root hash in its third line")
	}
	c := Checkpoint{lines[0], size, root}
	if c.String() != text {
		return Checkpoint{}, errors.New("checkpoint has its size or root hash in an unusual form")
	}
	return c, nil
}

// OpenCheckpoint reads a signed checkpoint. One of the keys must have signed it under
// the name of the checkpoint's log. Signatures of unknown keys are ignored; a wrong
// signature of a known key is an error.
func OpenCheckpoint(msg []byte, verifiers ...Verifier) (Checkpoint, error) {
	if len(msg) > maxCheckpoint {
		return Checkpoint{}, fmt.Errorf("checkpoint has more than %d bytes", maxCheckpoint)
	}
	n, err := note.Open(msg, note.VerifierList(verifiers...))
	if _, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrOtherKey, err)
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("opening checkpoint: %w", err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if !slices.ContainsFunc(n.Sigs, func(s note.Signature) bool { return s.Name == c.Origin }) {
		return Checkpoint{}, fmt.Errorf("checkpoint is of log %q, whose key did not sign it", c.Origin)
	}
	return c, nil
}

// claim reads a checkpoint without checking who signed it.
func claim(msg []byte) (Checkpoint, error) {
	if len(msg) > maxCheckpoint {
		return Checkpoint{}, fmt.Errorf("checkpoint has more than %d bytes", maxCheckpoint)
	}
	_, err := note.Open(msg, nil)
	unverified, ok := errors.AsType[*note.UnverifiedNoteError](err)
	if !ok {
		return Checkpoint{}, fmt.Errorf("opening checkpoint: %w", err)
	}
	return parseCheckpoint(unverified.Note.Text)
}

// Sign makes a checkpoint of the log in tx, for the signer's origin. As the
// specification demands, it signs nothing that contradicts the saved checkpoint. tx may
// be a read transaction, because the signer may be slow.
func Sign(tx storage.Tx, s *Signer) ([]byte, error) {
	if _, err := saved(tx); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	size, err := Size(tx)
	if err != nil {
		return nil, err
	}
	h, err := root(tx, size)
	if err != nil {
		return nil, err
	}
	msg, err := note.Sign(&note.Note{Text: Checkpoint{s.Name(), size, h}.String()}, s)
	if err != nil {
		return nil, fmt.Errorf("signing checkpoint at size %d: %w", size, err)
	}
	return msg, nil
}

// Save keeps a signed checkpoint in the store, unless the store has a later one. The
// checkpoint must agree with the log; its signature is not checked. A checkpoint beside
// the log is a convenience; only a copy elsewhere proves anything.
func Save(tx storage.Tx, msg []byte) error {
	c, err := claim(msg)
	if err != nil {
		return err
	}
	// A log that was cut since the checkpoint was signed has a later one.
	if size, _, err := Sealed(tx); err != nil || c.Size < size {
		return err
	}
	if err := agrees(tx, c); err != nil {
		return err
	}
	old, err := saved(tx)
	if err == nil && old.Size > c.Size {
		return nil
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return tx.Put(checkpointTable, checkpointKey, slices.Clone(msg))
}

// Saved returns the latest checkpoint that [Save] kept, for [OpenCheckpoint],
// or [storage.ErrNotFound].
func Saved(tx storage.Tx) ([]byte, error) {
	msg, err := tx.Get(checkpointTable, checkpointKey)
	return slices.Clone(msg), err
}

// CheckSaved checks with a few reads that the log was neither truncated nor rewritten
// since its checkpoint was saved; [Dir.Verify] checks everything. A missing checkpoint is
// not an error, because a new log has none.
func CheckSaved(tx storage.Tx, verifiers ...Verifier) error {
	msg, err := tx.Get(checkpointTable, checkpointKey)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := OpenCheckpoint(msg, verifiers...)
	if err != nil {
		return err
	}
	return agrees(tx, c)
}

// saved returns the saved checkpoint if the log agrees with it.
func saved(tx storage.Tx) (Checkpoint, error) {
	msg, err := tx.Get(checkpointTable, checkpointKey)
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := claim(msg)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading the saved checkpoint: %w", err)
	}
	return c, agrees(tx, c)
}

// agrees checks with a few reads of stored hashes that the log at c's size has c's root.
// A log whose hashes were all recomputed fails this check.
func agrees(tx storage.Tx, c Checkpoint) error {
	size, err := Size(tx)
	if err != nil {
		return err
	}
	if c.Size > size {
		return cutOff(size, c)
	}
	h, err := root(tx, c.Size)
	if err != nil {
		return err
	}
	if h != c.Root {
		return rewritten(0, c)
	}
	return nil
}
