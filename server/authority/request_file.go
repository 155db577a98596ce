package authority

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/ceremony"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/durable"
	"github.com/brevet-ca/brevet/storage/keys"
)

// requestFile is where the server writes what a root is to sign.
func (a *Authority) requestFile(root keys.Purpose) string {
	return filepath.Join(a.Dir, string(root)+"-request.json")
}

// KeepRequests writes what each root whose key is kept elsewhere is to sign, if there is
// something, and removes the file once that is installed. The reasons of the health name
// the file.
func (a *Authority) KeepRequests(ctx context.Context) error {
	return errors.Join(a.keepRequest(ctx, keys.Root), a.keepRequest(ctx, keys.HTTPSRoot))
}

func (a *Authority) keepRequest(ctx context.Context, p keys.Purpose) error {
	wanted, current, err := a.wantsRequest(ctx, p)
	switch {
	case err != nil || wanted && current:
		return err
	case !wanted:
		if err := os.Remove(a.requestFile(p)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	r, err := a.Requested(ctx, p)
	if err != nil {
		return fmt.Errorf("writing what the %s is to sign: %w", p, err)
	}
	return durable.WriteFile(a.requestFile(p), r.Text)
}

// wantsRequest reports whether a root is to sign something elsewhere, and whether the file
// that is there asks for just that. No root signs a request from the future, which is there if
// the clock was ahead.
func (a *Authority) wantsRequest(ctx context.Context, p keys.Purpose) (wanted, current bool, err error) {
	there := a.readRequest(p)
	err = a.DB.View(ctx, func(tx storage.Tx) error {
		wanted, current = false, false
		published, err := ca.PublishedRoots(tx)
		if err != nil || !slices.ContainsFunc(published, func(r ca.Root) bool { return r.Key.Purpose == p }) {
			return err
		}
		roots, err := rootsOf(tx, p)
		if err != nil {
			return err
		}
		waiting, err := waitingFor(tx, roots)
		if err != nil {
			return err
		}
		for _, root := range roots {
			here, err := a.Keys.Has(root.Key)
			if err != nil {
				return err
			}
			wanted = wanted || !here && (len(waiting) > 0 || a.listsWanted(root.ID))
		}
		if !wanted || there == nil { // as it mostly is: this runs each minute
			return nil
		}
		var now []*ceremony.Request
		for _, root := range roots {
			one := &ceremony.Request{Root: root.ID}
			if err := describe(tx, root, one); err != nil {
				return err
			}
			now = append(now, one)
		}
		current = !there.Made.After(a.Clock.Now().Add(clock.Tolerance)) && sameWork(there, now, waiting)
		return nil
	})
	return wanted, current, err
}

// listsWanted reports whether the health has a reason that a new CRL of a root would mend, or
// will have one within the hour: the reason names the file from the first moment on.
func (a *Authority) listsWanted(root string) bool {
	now := a.Clock.Now().Add(time.Hour)
	return slices.ContainsFunc(a.CRL.Roots(), func(r crl.RootState) bool {
		return r.Root == root && (r.Number == 0 || r.Late || len(r.Unlisted) > 0 || rootCRLNotice.level(r.Until().Add(-day(365)), r.Until(), now) != api.OK)
	})
}

// readRequest returns the request that the server wrote, or nil.
func (a *Authority) readRequest(p keys.Purpose) *ceremony.Request {
	text, err := durable.ReadFile(a.requestFile(p), ceremony.MaxRequest)
	if err != nil {
		return nil
	}
	r, err := ceremony.ParseRequest(text)
	if err != nil {
		return nil
	}
	return r
}

// sameWork reports whether a request says what the store says now of each root, and asks for the
// certificates of just these keys.
func sameWork(there *ceremony.Request, now []*ceremony.Request, all []waiting) bool {
	return there.Successor == nil && slices.EqualFunc(append([]*ceremony.Request{there}, there.Beside...), now, func(there, now *ceremony.Request) bool {
		return sameFor(there, now, slices.DeleteFunc(slices.Clone(all), func(w waiting) bool { return !slices.Contains(w.above, now.Root) }))
	})
}

// sameFor is sameWork for one root.
func sameFor(there, now *ceremony.Request, waiting []waiting) bool {
	if there.Root != now.Root || there.Number != now.Number || !there.Dated.Equal(now.Dated) || len(there.Wanted) != len(waiting) {
		return false
	}
	for n, w := range waiting {
		csr, err := x509.ParseCertificateRequest(there.Wanted[n].CSR)
		if err != nil || !bytes.Equal(csr.RawSubjectPublicKeyInfo, w.Public) {
			return false
		}
	}
	return slices.EqualFunc(there.Issued, now.Issued, func(a, b ceremony.Issued) bool {
		return bytes.Equal(a.Certificate, b.Certificate) && a.Revoked.Equal(b.Revoked) && a.Reason == b.Reason
	})
}

// carried says how the request that the server wrote comes to a root and back, or "" if there
// is none.
func (a *Authority) carried(root keys.Purpose) string {
	r := a.readRequest(root)
	if r == nil {
		return ""
	}
	print, err := r.Fingerprint()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("carry %s (SHA-256 %s) to the machine with the root's key, sign it there with brevet ca sign, and run brevet key install on the response", a.requestFile(root), print)
}
