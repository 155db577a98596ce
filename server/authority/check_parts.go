package authority

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/durable"
)

// CheckProof checks a proof that an entry is in the audit log, by the authority's keys in
// PEM. It returns the entry as JSON, and the size of the log that the proof is about.
func CheckProof(proof, pemKeys []byte) (entry []byte, size int64, err error) {
	known, err := parseKeys(pemKeys)
	if err != nil {
		return nil, 0, err
	}
	origin, err := audit.OriginOf(proof)
	if err != nil {
		return nil, 0, err
	}
	verifiers, err := auditKeys(origin, known.ofLog())
	if err != nil {
		return nil, 0, err
	}
	e, c, err := audit.CheckProof(proof, verifiers...)
	if err != nil {
		return nil, 0, needsLaterKeys(err)
	}
	return e.JSON(), c.Size, nil
}

// A CheckedSegment says what a segment of the audit log was found to be.
type CheckedSegment struct {
	TrustDomain string    `json:"trust_domain"`
	First       int64     `json:"first"`
	Last        int64     `json:"last"`
	Begin       time.Time `json:"begin"`
	End         time.Time `json:"end"`
	Root        string    `json:"root"` // base64, of the log up to the last entry
}

// CheckSegment checks a segment of an audit log by the authority's keys in PEM. Nothing else
// is needed.
func CheckSegment(file string, pemKeys []byte) (c CheckedSegment, err error) {
	known, err := parseKeys(pemKeys)
	if err != nil {
		return c, err
	}
	f, err := durable.Open(file)
	if err != nil {
		return c, err
	}
	defer f.Close()
	origin, err := audit.OriginOfSegment(f)
	if err != nil {
		return c, err
	}
	verifiers, err := auditKeys(origin, known.ofLog())
	if err != nil {
		return c, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return c, err
	}
	s, err := audit.CheckSegment(f, verifiers...)
	if err != nil {
		return c, needsLaterKeys(err)
	}
	return CheckedSegment{strings.TrimSuffix(origin, logName), s.First, s.Next - 1, s.Begin, s.End, s.Root.String()}, nil
}

// needsLaterKeys adds what an auditor with an old key has to do. The signatures by which old
// keys vouch for later ones are in the store, not in a proof or a segment.
func needsLaterKeys(err error) error {
	if errors.Is(err, audit.ErrOtherKey) {
		err = fmt.Errorf("%w. If the audit key was rotated since, get the new key from the authority (brevet key public audit prints old and new ones); brevet verify BACKUP --key FILE names the new keys for which those in FILE vouch", err)
	}
	return err
}

// auditKeys returns what checks checkpoints of a log. At least one of the keys must be able
// to sign them.
func auditKeys(origin string, known [][]byte) ([]audit.Verifier, error) {
	verifiers, err := verifiersOf(origin, known)
	if err == nil && len(verifiers) == 0 {
		err = errors.New("none of the keys is an audit key, which is an Ed25519 key: see brevet key public audit")
	}
	return verifiers, err
}
