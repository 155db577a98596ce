package authority

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A handover is the word of a key that signs digests or checkpoints for its successor, so that
// whoever kept the old public key recognizes what the new one signs. It is stored as JSON:
// fields may be added, and none changes its meaning. A compromised key vouches for none.
type handover struct {
	Purpose    keys.Purpose `json:"purpose"`
	From       [][]byte     `json:"from"` // SubjectPublicKeyInfo of each half, in DER
	To         [][]byte     `json:"to"`   // likewise
	Signatures [][]byte     `json:"signatures"`
}

// handovers holds them by the identifier of the new key. There is one for each rotation.
const handovers = storage.Table[handover]("handovers")

// message is what each half of the old key signs.
func (h handover) message(td string) []byte {
	text := fmt.Appendf(nil, "brevet key handover v1\n%s\n%s\n", h.Purpose, td)
	for _, half := range h.To {
		text = append(hex.AppendEncode(text, half), '\n')
	}
	return text
}

// good reports whether the old key, all halves of which are known, signed.
func (h handover) good(td string, known [][]byte) bool {
	if len(h.From) == 0 || len(h.To) == 0 || len(h.Signatures) != len(h.From) {
		return false
	}
	for i, half := range h.From {
		if !isKnown(known, half) || !keys.VerifyMessage(half, h.message(td), h.Signatures[i]) {
			return false
		}
	}
	return true
}

func isKnown(known [][]byte, spki []byte) bool {
	return slices.ContainsFunc(known, func(k []byte) bool { return bytes.Equal(k, spki) })
}

func halves(k keys.Key) [][]byte {
	if len(k.Alternative) == 0 {
		return [][]byte{k.Public}
	}
	return [][]byte{k.Public, k.Alternative}
}

// handsOver reports whether keys of a purpose sign what is checked by public keys that
// somebody kept.
func handsOver(p keys.Purpose) bool { return p == keys.Audit || p == keys.Issuer }

// handOver has the active key of next's purpose vouch for next. If its file is lost, there is
// no handover, and whoever kept its public key needs the new one.
func (a *Authority) handOver(ctx context.Context, next keys.Key) (h handover, err error) {
	if !handsOver(next.Purpose) {
		return h, nil
	}
	var old keys.Key
	var stolen bool
	err = a.DB.View(ctx, func(tx storage.Tx) (err error) {
		if old, err = keys.Active(tx, next.Purpose); err == nil {
			stolen, err = agents.IssuerCompromised(tx, old.ID)
		}
		return err
	})
	if errors.Is(err, storage.ErrNotFound) || stolen {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	h = handover{Purpose: next.Purpose, From: halves(old), To: halves(next)}
	private, err := a.Keys.Signer(old)
	if err == nil {
		h.Signatures, err = keys.SignMessage(private, h.message(string(a.File.TrustDomain)))
	}
	if err != nil {
		a.Log.Warn("the old key does not vouch for the new one", "purpose", next.Purpose, "key", old.ID, "error", err)
		return handover{}, nil
	}
	return h, nil
}

// record keeps a handover if there is one, and if the key that vouches is still the active one.
func (h handover) record(tx storage.Tx, next keys.Key) error {
	if len(h.From) == 0 {
		return nil
	}
	old, err := keys.Active(tx, next.Purpose)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !slices.EqualFunc(h.From, halves(old), bytes.Equal) {
		return nil
	}
	if err != nil {
		return err
	}
	return handovers.Put(tx, next.ID, h)
}

// A Followed handover led from a key that is known to its successor.
type Followed struct {
	Purpose keys.Purpose `json:"purpose"`
	From    string       `json:"from"` // identifiers of the keys
	To      string       `json:"to"`
}

// follow adds to the keys that are known those for which one of them vouches, and so on.
func follow(tx storage.Tx, td string, known [][]byte) (all [][]byte, followed []Followed, err error) {
	var list []handover
	for h, err := range handovers.Scan(tx, "") {
		if err != nil {
			return nil, nil, err
		}
		list = append(list, h)
	}
	all = slices.Clone(known)
	for more := true; more; {
		more = false
		for _, h := range list {
			news := slices.ContainsFunc(h.To, func(half []byte) bool { return !isKnown(all, half) })
			if !news || !h.good(td, all) {
				continue
			}
			more, all = true, append(all, h.To...)
			followed = append(followed, Followed{Purpose: h.Purpose, From: identifier(h.From), To: identifier(h.To)})
		}
	}
	return all, followed, nil
}

// identifier returns the identifier of a key, as brevet key list shows it.
func identifier(halves [][]byte) string {
	id, err := keys.SubjectKeyID(halves[0])
	if err != nil {
		return ""
	}
	return hex.EncodeToString(id)
}

// readHandovers returns all handovers on record, by the identifiers of the new keys.
func readHandovers(tx storage.Tx) (map[string]handover, error) {
	all := map[string]handover{}
	for h, err := range handovers.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		if len(h.To) > 0 {
			all[identifier(h.To)] = h
		}
	}
	return all, nil
}

// adoptHandovers records those of a later state. Each proves itself, and replaces none.
func adoptHandovers(tx storage.Tx, later map[string]handover) error {
	for id, h := range later {
		if known, err := handovers.Has(tx, id); err != nil {
			return err
		} else if known {
			continue
		}
		if err := handovers.Put(tx, id, h); err != nil {
			return err
		}
	}
	return nil
}
