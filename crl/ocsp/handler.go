package ocsp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage/audit"
)

// ServeHTTP answers a request in the body of a POST, or in base64 after
// [ca.OCSPPath] of a GET (RFC 6960, appendix A.1).
//
// Caches may store an answer but must revalidate it each time, which costs a few bytes
// with the ETag. RFC 5019, section 6.2 would let them assume freshness; we prefer that
// a revocation shows at once. The rest follows that section.
func (r *Responder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	request, err := read(w, req)
	var answer *Response
	if err == nil {
		answer, err = r.Respond(req.Context(), request)
	}
	if err != nil {
		r.refuse(w, req, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/ocsp-response")
	h.Set("Cache-Control", "public, no-cache, no-transform")
	h.Set("Last-Modified", answer.ThisUpdate.Format(http.TimeFormat))
	h.Set("Expires", answer.NextUpdate.Format(http.TimeFormat))
	h.Set("ETag", answer.ETag)
	if req.Method == http.MethodPost {
		w.Write(answer.DER)
		return
	}
	// There is no Last-Modified: dates tell answers apart by the second only, and a
	// revocation may come within one.
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(answer.DER))
}

var errType = errors.New("a POST must have the Content-Type application/ocsp-request")

// read returns the DER of a request.
func read(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	if req.Method == http.MethodPost {
		if kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || kind != "application/ocsp-request" {
			return nil, errType
		}
		der, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxRequest))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return der, nil
	}
	// The path is already decoded. Clients also write base64url, and leave the padding
	// out.
	text := unpadded(urlSafe.Replace(strings.TrimPrefix(req.URL.Path, ca.OCSPPath+"/")))
	if len(text) > base64.RawURLEncoding.EncodedLen(maxRequest) {
		return nil, ErrMalformed
	}
	der, err := strict.Base64(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return der, nil
}

var urlSafe = strings.NewReplacer("+", "-", "/", "_")

// unpadded drops the padding of base64, if it has the right length.
func unpadded(text string) string {
	if short := strings.TrimRight(text, "="); len(text)%4 == 0 && len(text)-len(short) <= 2 {
		return short
	}
	return text
}

// refuse answers with an unsigned status. "Not on record" is a normal answer for HTTP;
// the other refusals are HTTP errors, too.
func (r *Responder) refuse(w http.ResponseWriter, req *http.Request, err error) {
	status, code := internalError, http.StatusInternalServerError
	switch {
	case errors.Is(err, errType):
		status, code = malformedRequest, http.StatusUnsupportedMediaType
	case errors.Is(err, ErrMalformed):
		status, code = malformedRequest, http.StatusBadRequest
	case errors.Is(err, ErrUnauthorized):
		status, code = unauthorized, http.StatusOK
	default:
		r.log.Error("OCSP failed", "request", audit.RequestOf(req.Context()), "error", err)
	}
	w.Header().Set("Content-Type", "application/ocsp-response")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	w.Write(status.der())
}
