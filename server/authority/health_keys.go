package authority

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// compromisedReasons are the active keys that are compromised: nothing is issued by them.
func (a *Authority) compromisedReasons(tx storage.Tx) (found []api.Reason, err error) {
	all, err := Purposes().List(tx)
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		if k.State != keys.StateActive {
			continue
		}
		if compromised, err := agents.IssuerCompromised(tx, k.ID); err != nil {
			return found, err
		} else if !compromised {
			continue
		}
		mend := a.rotates(tx, k.Purpose, "run brevet key rotate "+string(k.Purpose)+" --algorithm "+string(k.Algorithm)+" --now")
		if spec, err := Purposes().Of(k.Purpose); err == nil && spec.Rotation == keys.Overlap {
			mend = "run brevet key rotate " + string(k.Purpose) + " --compromised"
		}
		r := critical(keyCompromised, mend, "the %s key %s is compromised, and nothing is issued by it", k.Purpose, k.ID)
		r.Stops = slices.Contains([]keys.Purpose{keys.Issuer, keys.HTTPSIssuer, keys.Tokens}, k.Purpose)
		found = append(found, r)
	}
	return found, nil
}

// An unsealer is a [keys.Source] whose keys may lie unsealed although they should not.
type unsealer interface {
	Unsealed(keys.Key) (bool, error)
}

// keyFileReasons are about private halves that the next start will not find or not take.
// The key of a root may be elsewhere.
func (a *Authority) keyFileReasons(ctx context.Context) (found []api.Reason) {
	var used []keys.Key
	err := a.DB.View(ctx, func(tx storage.Tx) error {
		used = nil
		all, err := Purposes().List(tx)
		for _, k := range all {
			compromised, err2 := agents.IssuerCompromised(tx, k.ID)
			if err = errors.Join(err, err2); k.State != keys.StateRetired && k.Purpose != keys.Root && k.Purpose != keys.HTTPSRoot && !compromised {
				used = append(used, k)
			}
		}
		return err
	})
	found = damaged(err)
	for _, k := range used {
		found = append(found, a.keyFileReason(k)...)
	}
	return found
}

// keyFileReason is about the file of one key.
func (a *Authority) keyFileReason(k keys.Key) (found []api.Reason) {
	mend := "put the key file back; the running server still has the key, and can rotate it: brevet key rotate " + string(k.Purpose)
	spec, err := Purposes().Of(k.Purpose)
	if err != nil {
		return damaged(err)
	}
	there, err := a.Keys.Has(k)
	if err != nil {
		return []api.Reason{unlooked(k, err)}
	}
	if waits := spec.Rotation == keys.ByRoot && k.State == keys.StateNext && k.SignsFrom.IsZero(); waits {
		if !there {
			found = append(found, warning(keyMissing, "put the key file back, or run brevet key cancel "+string(k.Purpose), "the file of the %s key %s is missing, which waits for a certificate", k.Purpose, k.ID))
		}
		return found
	}
	if !there {
		return append(found, critical(keyMissing, mend, "the file of the %s key %s is missing: the server will not start again", k.Purpose, k.ID))
	}
	if u, ok := a.Keys.(unsealer); ok {
		open, err := u.Unsealed(k)
		switch {
		case err != nil:
			found = append(found, unlooked(k, err))
		case open:
			found = append(found, critical(keyUnsealed, mend, "the file of the %s key %s is not sealed: the server will not start again, and who can read the file has the key", k.Purpose, k.ID))
		}
	}
	if from, announced := spec.AnnouncedUntil(k); announced && a.Clock.Now().Sub(from) > takeoverNotice {
		found = append(found, warning(keyTakeoverLate, "run brevet key rotate "+string(k.Purpose)+" --now; the server's log says what fails", "the announced %s key %s should sign since %s and does not",
			k.Purpose, k.ID, from.UTC().Format(time.RFC3339)))
	}
	return found
}

// unlooked says that nobody knows whether the file of a key is there and sealed.
func unlooked(k keys.Key, err error) api.Reason {
	return critical(keyMissing, "give the directory and the file back to the server's user; the error says what fails", "the file of the %s key %s cannot be read, so the server may not start again: %v", k.Purpose, k.ID, err)
}

// takeoverNotice is how late an announced key may take over: the server tries every few minutes.
const takeoverNotice = 10 * time.Minute
