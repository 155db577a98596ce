package crl

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// BundlePath is where the bundle is, over HTTPS and plain HTTP.
const BundlePath = "/crl/bundle.pem"

// A forFiles is a list of an issuer for servers that load a file and do not fetch. It
// has the entries of the list published with it, but may be used for longer. It is signed
// again when the entries change, and when a quarter of its time is over.
type forFiles struct {
	*CRL
	made    time.Time
	entries [sha256.Size]byte // hash
}

// defaultForFiles is the lifetime of such a list if no other is configured.
const defaultForFiles = 24 * time.Hour

// BundleLifetime returns the time from the making of a list for files to its nextUpdate.
func (p *Publisher) BundleLifetime() time.Duration { return cmp.Or(p.ForFiles, defaultForFiles) }

// signForFiles returns the lists for files that go with drafts, or nil if nobody has asked
// for any since the start.
func (p *Publisher) signForFiles(drafts []*draft) ([]*forFiles, error) {
	if !p.wanted.Load() {
		return nil, nil
	}
	files := make([]*forFiles, len(drafts))
	for i, d := range drafts {
		var err error
		if files[i], err = p.forFiles(d); err != nil {
			return nil, fmt.Errorf("signing the list for files of %s: %w", d.issuer.ID, err)
		}
	}
	return files, nil
}

// forFiles returns the list for files that goes with d: the last one, or a new one,
// which takes the number of d.
func (p *Publisher) forFiles(d *draft) (*forFiles, error) {
	lifetime := p.BundleLifetime()
	f := &forFiles{made: d.date, entries: sha256.Sum256(d.entries)}
	if last := p.lastForFiles(d.issuer.ID); last != nil && last.entries == f.entries && !d.date.Before(last.ThisUpdate) && d.date.Before(last.made.Add(lifetime/4)) {
		return last, nil
	}
	next := d.NextUpdate
	d.NextUpdate = d.date.Add(lifetime)
	list, err := d.sign(false)
	f.CRL = list
	d.Number, d.NextUpdate = d.Number+1, next
	return f, err
}

func (p *Publisher) lastForFiles(issuer string) *forFiles {
	if all := p.files.Load(); all != nil {
		for _, f := range *all {
			if f.Issuer == issuer {
				return f
			}
		}
	}
	return nil
}

// A bundled is the last Bundle, and what it was made of.
type bundled struct {
	mu    sync.Mutex
	files *[]*forFiles
	roots *[]RootState
	Bundle
}

// A Bundle has the lists of all issuers and roots for servers that load a file: PEM
// blocks "X509 CRL", the active issuer's first.
type Bundle struct {
	PEM        []byte
	ETag       string
	NextUpdate time.Time // when the first of the lists ends
}

// ErrIncomplete says that there is no bundle. A server that loaded one without a list of
// a root would refuse everybody.
var ErrIncomplete = errors.New("there is no complete set of CRLs")

// Bundle returns the lists for files. The first call has them signed. From then on, each
// publication has them, too.
func (p *Publisher) Bundle(ctx context.Context) (Bundle, error) {
	if p.wanted.Store(true); p.files.Load() == nil {
		if _, err := p.Publish(ctx); err != nil {
			return Bundle{}, err
		}
	}
	files, roots := p.files.Load(), p.roots.Load()
	if roots == nil {
		return Bundle{}, fmt.Errorf("%w: no root has signed any yet", ErrIncomplete)
	}
	b, now := &p.bundle, p.clock.Shown()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.files != files || b.roots != roots {
		b.files, b.roots, b.Bundle = files, roots, newBundle(*files, p.stored(forBundle(*roots, now)))
	}
	for _, r := range *roots {
		if !r.Withdrawn && !now.Before(r.Current.NextUpdate) {
			return Bundle{}, fmt.Errorf("%w: the root %s has signed none that is valid", ErrIncomplete, r.Root)
		}
	}
	return b.Bundle, nil
}

// forBundle returns the roots whose lists are in the bundle. Those of a withdrawn root stay
// until they end: chains that were sent before may lead to it, and servers may still trust
// it. An hour covers the time until the bundle is made again.
func forBundle(roots []RootState, now time.Time) []RootState {
	return slices.DeleteFunc(slices.Clone(roots), func(r RootState) bool {
		return r.Withdrawn && !now.Before(r.Current.NextUpdate.Add(-time.Hour))
	})
}

func newBundle(files []*forFiles, stored []*CRL) Bundle {
	var b Bundle
	var text bytes.Buffer
	add := func(der []byte, end time.Time) {
		pem.Encode(&text, &pem.Block{Type: "X509 CRL", Bytes: der})
		if b.NextUpdate.IsZero() || end.Before(b.NextUpdate) {
			b.NextUpdate = end
		}
	}
	for _, f := range files {
		add(f.DER, f.NextUpdate)
	}
	for _, l := range stored {
		add(l.DER, l.NextUpdate)
	}
	b.PEM = text.Bytes()
	hash := sha256.Sum256(b.PEM)
	b.ETag = `"` + hex.EncodeToString(hash[:16]) + `"`
	return b
}

// ServeBundle serves the bundle. As with a single list, caches must revalidate it.
func (p *Publisher) ServeBundle(w http.ResponseWriter, r *http.Request) {
	b, err := p.Bundle(r.Context())
	if err != nil {
		http.Error(w, "there is no complete set of CRLs now; keep the file that you have and try again shortly", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-pem-file")
	h.Set("Cache-Control", "public, no-cache")
	h.Set("Expires", b.NextUpdate.Format(http.TimeFormat))
	h.Set("ETag", b.ETag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.PEM))
}
