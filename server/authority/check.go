package authority

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/format"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Evidence is what somebody kept outside of a file, so that whoever can write to the file
// cannot forge it.
type Evidence struct {
	Keys       []byte // PEM public keys of the authority, or nil
	Checkpoint []byte // a signed checkpoint of the audit log, or nil
}

// Checked says what a file was found to be.
type Checked struct {
	TrustDomain string         `json:"trust_domain"`
	Entries     int64          `json:"entries"`             // of the audit log, all of which agree
	Root        string         `json:"root"`                // base64
	Covered     int64          `json:"covered"`             // how many of them a checkpoint covers
	Taken       time.Time      `json:"taken,omitzero"`      // when the backup was made, by its digest
	SignedBy    []keys.Purpose `json:"signed_by,omitempty"` // the digest, by keys that are known
	// Proven says by what: "key", "checkpoint", or nothing. If it is empty, the keys are
	// from the file itself, and whoever edits the file can put in others.
	Proven string `json:"proven,omitempty"`
	// Followed are the rotations by which the keys that were kept lead to those that signed:
	// each old key signed the new one.
	Followed []Followed `json:"followed,omitempty"`
	Digest   bool       `json:"digest"` // the file has one, and agrees with it
	// Missing are the entries whose segments are not in the directory segments beside the
	// file. Only the hash over them was checked.
	Missing []api.Gap `json:"missing,omitempty"`
}

// CheckBackup reads a backup from end to end: the store, its audit log and its signed
// digest. Without evidence it finds damage, but nobody who edits the file with care. With
// evidence, a backup without a digest that the evidence vouches for is refused.
//
// The segments of the log are read from the directory segments beside the file.
func CheckBackup(file string, e Evidence) (Checked, error) { return checkBackup(file, beside(file), e) }

// CheckCopy is [CheckBackup] for a backup that was made just now, without its segments.
func CheckCopy(file string) error {
	_, err := checkBackup(file, "", Evidence{})
	return err
}

func checkBackup(file string, segments audit.Dir, e Evidence) (Checked, error) {
	c, err := checkFile(file, segments, e)
	if err != nil && !strings.Contains(err.Error(), file) {
		err = fmt.Errorf("%s: %w", file, err)
	}
	return c, err
}

// checkFile is checkBackup whose errors need not name the file.
func checkFile(file string, segments audit.Dir, e Evidence) (Checked, error) {
	if err := verifyPages(file); err != nil {
		return Checked{}, err
	}
	return checkDigestAndLog(file, segments, e)
}

func checkDigestAndLog(file string, segments audit.Dir, e Evidence) (c Checked, err error) {
	given, err := parseKeys(e.Keys)
	if err != nil {
		return c, err
	}
	d, err := readDigest(file)
	switch {
	case errors.Is(err, errNoDigest) && e.given():
		return c, fmt.Errorf("%w, so nothing proves what is in it: an earlier version made it, or somebody removed the digest", err)
	case errors.Is(err, errNoDigest):
		c, _, err = checkLogIn(file, segments, nil, nil, false)
		return c, err
	case err != nil:
		return c, err
	}
	var by []keys.Purpose
	var followed []Followed
	if given != nil {
		if by, followed, err = d.provenBy(file, given); err != nil {
			return c, err
		}
	}
	c, known, err := checkLogIn(file, segments, given.all(), e.Checkpoint, given != nil)
	c.Followed = append(c.Followed, followed...)
	if err == nil && given == nil {
		by, err = d.signedBy(known)
	}
	if err != nil {
		return c, err
	}
	if d.TrustDomain != c.TrustDomain {
		return c, fmt.Errorf("its digest is of trust domain %s and its log of %s", d.TrustDomain, c.TrustDomain)
	}
	c.Digest, c.Taken, c.SignedBy = true, d.Taken, by
	return c, nil
}

// CheckLog is [CheckBackup] for the audit log alone, of a backup or of any store that no
// server has open.
func CheckLog(file string, e Evidence) (c Checked, err error) {
	given, err := parseKeys(e.Keys)
	if err == nil {
		c, _, err = checkLogIn(file, beside(file), given.ofLog(), e.Checkpoint, false)
	}
	if err != nil && !strings.Contains(err.Error(), file) {
		err = fmt.Errorf("%s: %w", file, err)
	}
	return c, err
}

func (e Evidence) given() bool { return e.Keys != nil || e.Checkpoint != nil }

// checkLogIn checks the audit log in a file by the keys that are given, or else by those in
// the file for which the checkpoint speaks. If one of those given signed the whole file,
// then the keys in the file are as good. It returns the keys that it checked by.
func checkLogIn(file string, segments audit.Dir, given [][]byte, checkpoint []byte, signed bool) (c Checked, known [][]byte, err error) {
	err = bolt.ViewFile(file, func(tx storage.Tx) error {
		if err := format.Check(tx); err != nil {
			return err
		}
		var err error
		if c.TrustDomain, err = trustDomainOf(tx); err != nil {
			return err
		}
		switch {
		case signed:
			known, _, err = keysInside(tx, c.TrustDomain, nil)
			c.Proven = "key"
		case given != nil:
			known, c.Proven = given, "key"
		default:
			known, c.Proven, err = keysInside(tx, c.TrustDomain, checkpoint)
		}
		if err == nil && !signed && c.Proven != "" {
			known, c.Followed, err = follow(tx, c.TrustDomain, known)
		}
		if err != nil {
			return err
		}
		return c.verify(tx, segments, known, checkpoint)
	})
	return c, known, err
}

// followIn is follow in the store in a file.
func followIn(file string, known [][]byte) (all [][]byte, followed []Followed, err error) {
	err = bolt.ViewFile(file, func(tx storage.Tx) error {
		td, err := trustDomainOf(tx)
		if err == nil {
			all, followed, err = follow(tx, td, known)
		}
		return err
	})
	return all, followed, err
}

// verify reads the whole log and compares it with the checkpoint saved in the store and
// with the one that was kept outside.
func (c *Checked) verify(tx storage.Tx, segments audit.Dir, known [][]byte, kept []byte) error {
	verifiers, err := verifiersOf(c.TrustDomain+logName, known)
	if err != nil {
		return err
	}
	var checkpoints []audit.Checkpoint
	saved, err := audit.Saved(tx)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if saved != nil {
		opened, err := audit.OpenCheckpoint(saved, verifiers...)
		switch {
		case err == nil:
			checkpoints = append(checkpoints, opened)
		case c.Proven != "checkpoint": // which does not speak for a later key
			return err
		}
	}
	if kept != nil {
		opened, err := audit.OpenCheckpoint(kept, verifiers...)
		if err != nil {
			return err
		}
		checkpoints = append(checkpoints, opened)
	}
	report, err := segments.Verify(tx, checkpoints...)
	if len(report.Missing) > 0 {
		c.Missing = Gaps(report.Missing)
	}
	c.Entries, c.Root, c.Covered = report.Size, report.Root.String(), report.Covered
	return err
}

// keysInside returns the authority's keys from its store. If there is a checkpoint, it
// returns those that signed it: whoever kept the checkpoint vouches for no other key.
func keysInside(tx storage.Tx, td string, checkpoint []byte) (known [][]byte, proven string, err error) {
	all, err := Purposes().List(tx)
	if err != nil {
		return nil, "", err
	}
	for _, k := range all {
		if checkpoint == nil || k.Purpose == keys.Audit && signedCheckpoint(td, k.Public, checkpoint) {
			known = append(known, k.Public)
		}
		if checkpoint == nil && len(k.Alternative) > 0 {
			known = append(known, k.Alternative)
		}
	}
	if checkpoint == nil {
		return known, "", nil
	}
	if len(known) == 0 {
		return nil, "", errors.New("no key in it signed the checkpoint: it is another authority's, or it was edited")
	}
	return known, "checkpoint", nil
}

func signedCheckpoint(td string, spki, checkpoint []byte) bool {
	verifiers, err := verifiersOf(td+logName, [][]byte{spki})
	if err != nil {
		return false
	}
	_, err = audit.OpenCheckpoint(checkpoint, verifiers...)
	return err == nil
}

// verifiersOf returns what checks checkpoints of a log by those of the keys that can sign
// them.
func verifiersOf(origin string, spkis [][]byte) (list []audit.Verifier, err error) {
	for _, spki := range spkis {
		public, err := parseEd25519(spki)
		if err != nil {
			continue // a key of another purpose
		}
		v, err := audit.NewVerifier(origin, public)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}
