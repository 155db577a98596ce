package audit

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
)

// maxProof bounds a proof as JSON: its strings may be escaped once more.
const maxProof = 4 * (maxEvent + maxCheckpoint)

// A Proof shows to anyone who knows the log's key that an event is in the log, without
// the log. Its JSON is handed out, so fields may be added but none renamed or removed.
type Proof struct {
	Seq        int64            `json:"seq"`
	Event      string           `json:"event"`      // as JSON: the bytes that were hashed
	Hashes     tlog.RecordProof `json:"proof"`      // RFC 6962, section 2.1.1, in base64
	Checkpoint string           `json:"checkpoint"` // signed; of a size greater than Seq
}

// Prove returns the proof that an event is in the log of a signed checkpoint,
// such as [Saved] or [Sign] returns.
func Prove(tx storage.Tx, seq int64, checkpoint []byte) (Proof, error) {
	c, err := claim(checkpoint)
	if err != nil {
		return Proof{}, err
	}
	if err := agrees(tx, c); err != nil {
		return Proof{}, err
	}
	e, err := Get(tx, seq)
	if err != nil {
		return Proof{}, fmt.Errorf("proving entry %d: %w", seq, err)
	}
	p, err := proveInclusion(tx, seq, c.Size)
	if err != nil {
		return Proof{}, err
	}
	return Proof{seq, string(appendEvent(nil, &e)), p, string(checkpoint)}, nil
}

// Check returns the proven event and the checkpoint that proves it, which one of the
// keys must have signed.
func (p Proof) Check(verifiers ...Verifier) (Event, Checkpoint, error) {
	c, err := OpenCheckpoint([]byte(p.Checkpoint), verifiers...)
	if err != nil {
		return Event{}, Checkpoint{}, err
	}
	e, err := parseEvent([]byte(p.Event))
	if err != nil {
		return Event{}, Checkpoint{}, err
	}
	if e.Seq != p.Seq {
		return Event{}, Checkpoint{}, fmt.Errorf("proof is for entry %d but holds entry %d", p.Seq, e.Seq)
	}
	if err := checkInclusion(p.Hashes, c, e); err != nil {
		return Event{}, Checkpoint{}, err
	}
	return e, c, nil
}

// CheckProof checks a proof in JSON: see [Proof.Check].
func CheckProof(doc []byte, verifiers ...Verifier) (Event, Checkpoint, error) {
	p, err := parseProof(doc)
	if err != nil {
		return Event{}, Checkpoint{}, err
	}
	return p.Check(verifiers...)
}

// parseProof reads a proof in JSON without checking it. Each member must appear once,
// under its exact name, so that all readers see the same proof.
func parseProof(doc []byte) (Proof, error) {
	if len(doc) > maxProof {
		return Proof{}, fmt.Errorf("proof has more than %d bytes", maxProof)
	}
	var p Proof
	into := map[string]any{"seq": &p.Seq, "event": &p.Event, "proof": &p.Hashes, "checkpoint": &p.Checkpoint}
	o, err := strict.ParseObject(doc)
	if err == nil {
		err = o.Only(into)
	}
	if err == nil {
		err = o.Read(into)
	}
	if err != nil {
		return Proof{}, fmt.Errorf("parsing proof: %w", err)
	}
	if len(o) < len(into) {
		return Proof{}, errors.New("proof lacks one of seq, event, proof and checkpoint")
	}
	return p, nil
}

// OriginOf returns the name of the log that a proof in JSON claims to be about. It checks
// nothing.
func OriginOf(doc []byte) (string, error) {
	p, err := parseProof(doc)
	if err != nil {
		return "", err
	}
	c, err := claim([]byte(p.Checkpoint))
	return c.Origin, err
}

// JSON returns the event in the form that was hashed.
func (e Event) JSON() []byte { return appendEvent(nil, &e) }
