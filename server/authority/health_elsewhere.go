package authority

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// elsewhere says by which commands a root that is kept elsewhere signs something.
func elsewhere(kind string) string {
	return fmt.Sprintf("run brevet key request %s --out FILE, have its root sign that with brevet ca sign, and run brevet key install on the response", kind)
}

// rotates says by which commands another key of a purpose comes. It returns rotate unless a
// root must certify the key and is kept elsewhere.
func (a *Authority) rotates(tx storage.Tx, p keys.Purpose, rotate string) string {
	spec, err := Purposes().Of(p)
	if err != nil || spec.Rotation != keys.ByRoot {
		return rotate
	}
	above, err := ca.Above(tx, p)
	if err != nil {
		return rotate
	}
	for _, root := range above {
		if here, err := a.Keys.Has(root.Key); err == nil && !here {
			return a.nextElsewhere(tx, p, root.Key.Purpose)
		}
	}
	return rotate
}

// nextElsewhere says how a key of a purpose gets its certificate by a root that is kept
// elsewhere.
func (a *Authority) nextElsewhere(tx storage.Tx, p, root keys.Purpose) string {
	if k, waits, err := nextKey(tx, p); err == nil && waits {
		if !k.SignsFrom.IsZero() { // it has its certificate
			return "run brevet key rotate " + string(p) + " --now"
		}
		return cmp.Or(a.carried(root), elsewhere(string(p)))
	}
	return elsewhere(string(p))
}

// rotatesNow is rotates outside of a transaction. Nothing is to be done for an issuer whose
// successor is announced.
func (a *Authority) rotatesNow(p keys.Purpose, alg keys.Algorithm, rotate string) (how string) {
	how = rotate
	a.DB.View(context.Background(), func(tx storage.Tx) error {
		how = a.rotates(tx, p, rotate)
		spec, err := Purposes().Of(p)
		if err != nil {
			return err
		}
		next, err := announcedFor(tx, spec, alg)
		if err == nil && next.ID != "" {
			how = fmt.Sprintf("wait: the %s key %s is announced and signs from %s on", p, next.ID, next.SignsFrom.UTC().Format(time.RFC3339))
		}
		return err
	})
	return how
}

// succeeds says by which command another root comes beside one.
func (a *Authority) succeeds(root ca.Root) string {
	p := cmp.Or(root.Key.Purpose, keys.Root)
	if here, err := a.Keys.Has(root.Key); err == nil && !here {
		return elsewhere(string(p) + " --successor")
	}
	return "run brevet key rotate " + string(p)
}

// signs says by which commands a root signs its CRL. Nobody here knows which passphrase seals the
// file of a key that is kept elsewhere.
func (a *Authority) signs(r crl.RootState) string {
	if r.Online {
		return "run brevet crl publish"
	}
	return cmp.Or(a.carried(keys.Purpose(r.Purpose)), elsewhere(r.Purpose)) + "; or, if the passphrase of the other keys seals its key file, put that back into the directory and run brevet crl publish"
}
