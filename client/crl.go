package client

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// maxBundle is the largest file of CRLs that is read, in octets: hundreds of thousands
// of certificates that were revoked and have not expired.
const maxBundle = 64 << 20

// CRLs returns the lists of all issuers and roots of the authority in PEM, for servers
// that load a file. It fetches them over HTTPS from the authority itself: they may be
// used for so long that somebody in between could hide a revocation with older ones.
func (id *Identity) CRLs(ctx context.Context) ([]byte, error) {
	d, err := id.bundle(ctx, "")
	return d.body, err
}

// bundle returns the lists if they are others than those with the tag.
func (id *Identity) bundle(ctx context.Context, etag string) (document, error) {
	e := id.at()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+"/crl/bundle.pem", nil)
	if err != nil {
		return document{}, err
	}
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	t := id.trust.Load()
	d, err := e.as(t).exchange(r, t.config(), maxBundle)
	if err == nil && d.body != nil {
		err = checkBundle(d.body, time.Now())
	}
	if err != nil {
		return document{}, fmt.Errorf("fetching the CRLs: %w", err)
	}
	return d, nil
}

// checkBundle refuses a file that would stop the servers that load it. Its lists come
// from the authority itself, so their signatures are left to those servers.
func checkBundle(text []byte, now time.Time) error {
	rest := bytes.TrimSpace(text)
	if len(rest) == 0 {
		return errors.New("the authority has none")
	}
	const begin = "-----BEGIN X509 CRL-----"
	for len(rest) > 0 {
		var block *pem.Block
		before := rest
		// pem.Decode skips what it does not understand, and servers may not.
		if block, rest = pem.Decode(rest); block == nil || len(block.Headers) > 0 || !bytes.HasPrefix(before, []byte(begin)) ||
			bytes.Contains(before[1:len(before)-len(rest)], []byte("-----BEGIN")) {
			return errors.New("the answer is not a file of CRLs: is that the URL of a brevet authority?")
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return err
		}
		if !now.Before(list.NextUpdate) {
			return fmt.Errorf("list %d of %s ended at %s: is the clock of this machine right?", list.Number, list.Issuer, list.NextUpdate.Format(time.RFC3339))
		}
		rest = bytes.TrimSpace(rest)
	}
	return nil
}

// crlInterval is the time between two questions whether the CRLs have changed.
const crlInterval = time.Minute

// WatchCRLs fetches the CRLs at once and again each minute. It calls use with them when
// they have changed, or with the reason why they could not be fetched. When ctx is done,
// it returns the context's error.
func (id *Identity) WatchCRLs(ctx context.Context, use func([]byte, error)) error {
	for etag, t := "", id.trust.Load(); ; {
		if now := id.trust.Load(); now != t {
			etag, t = "", now // whoever had the key of a former root may have answered with the tag
		}
		d, err := id.bundle(ctx, etag)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || d.body != nil {
			use(d.body, err)
		}
		if err == nil {
			etag = d.etag
		}
		if !wait(ctx, time.Now().Add(crlInterval), nil) {
			return context.Cause(ctx)
		}
	}
}
