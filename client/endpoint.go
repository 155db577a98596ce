package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

const (
	// maxAnswer is the largest answer that is read, in octets: chains and
	// tokens with post-quantum signatures have a fifth of it.
	maxAnswer = 64 << 10
	// timeout bounds a request from its first packet to the answer's last.
	timeout = 30 * time.Second
)

// An endpoint is the HTTPS listener of an authority.
type endpoint struct {
	url  string // https://HOST or https://HOST:PORT, which is also the issuer of its tokens
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	more string // what follows the product in User-Agent
}

// as returns e for requests under the terms of t. The requests tell the authority
// these terms, so that a dry run shows whom a change of algorithms would break.
func (e endpoint) as(t *trust) endpoint {
	if t.hybrid {
		e.more = " (require-hybrid)"
	}
	return e
}

// CheckServer refuses what cannot be the URL of an authority.
func CheckServer(url string) error {
	_, err := parseServer(url)
	return err
}

// parseServer checks the URL of an authority. The error does not repeat it:
// somebody may have put a password in.
func parseServer(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("invalid server URL: want https://HOST or https://HOST:PORT")
	}
	return "https://" + strings.ToLower(u.Host), nil
}

// unsent is the error of a request that was not sent: nobody has seen its content.
type unsent struct{ error }

func (u unsent) Unwrap() error { return u.error }

func (e endpoint) get(ctx context.Context, c *tls.Config, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+path, nil)
	if err != nil {
		return nil, err
	}
	return e.do(r, c)
}

func (e endpoint) post(ctx context.Context, c *tls.Config, path, kind string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", kind)
	return e.do(r, c)
}

// do sends a request and returns the body of a good answer. Each request has a
// connection of its own, so that the certificate in c authenticates it and no other
// does. Redirects are not followed: the authority sends none, and nobody else may see
// the request.
func (e endpoint) do(r *http.Request, c *tls.Config) ([]byte, error) {
	a, err := e.exchange(r, c, maxAnswer)
	return a.body, err
}

// A document is what is at a URL now.
type document struct {
	body []byte // nil if it has not changed
	etag string
}

// exchange is do for answers of another size, and for questions whether a document has
// changed.
func (e endpoint) exchange(r *http.Request, c *tls.Config, limit int64) (document, error) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), timeout, fmt.Errorf("no answer within %s", clock.FormatDuration(timeout)))
	defer cancel()
	r.Header.Set("User-Agent", "brevet-client"+e.more)
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: e.dial, TLSClientConfig: c,
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxAnswer,
	}
	resp, err := t.RoundTrip(r.WithContext(ctx))
	if err != nil && !sent.Load() {
		return document{}, unsent{e.explain(ctx, err)}
	}
	if err != nil {
		return document{}, e.broken(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	known := r.Header.Get("If-None-Match")
	switch {
	case resp.StatusCode == http.StatusNotModified && known != "":
		return document{etag: known}, nil
	case resp.StatusCode != http.StatusOK:
		return document{}, e.refusal(resp, body, time.Now())
	case err != nil:
		return document{}, e.broken(ctx, err)
	case int64(len(body)) > limit:
		return document{}, fmt.Errorf("%s answers with more than %d octets: is that the URL of a brevet authority?", e.url, limit)
	}
	return document{body, resp.Header.Get("ETag")}, nil
}

// broken is the error of a request that was sent and got no usable answer: nobody
// knows whether the authority carried it out.
func (e endpoint) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if asksForCertificate(err) {
		return e.forOthers()
	}
	return fmt.Errorf("the connection to %s ended before its answer was there: %w", e.url, err)
}

// explain says what to do about a request that could not be sent.
func (e endpoint) explain(ctx context.Context, err error) error {
	var distrusted *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("talking to %s: %w", e.url, context.Cause(ctx))
	case errors.As(err, &distrusted):
		return e.distrust(distrusted.Err)
	case errors.As(err, &noTLS):
		return fmt.Errorf("%s does not speak TLS: give the HTTPS address, which brevet status prints", e.url)
	}
	if asksForCertificate(err) {
		return e.forOthers()
	}
	return fmt.Errorf("cannot reach %s: is brevet serve running there? (%w)", e.url, err)
}

// asksForCertificate reports whether a server refused a connection for want of a client
// certificate (RFC 8446, section 6.2). An authority asks for one at listen_admin alone.
func asksForCertificate(err error) bool {
	remote, ok := errors.AsType[*net.OpError](err)
	return ok && remote.Op == "remote error" && strings.HasSuffix(remote.Err.Error(), "certificate required")
}

func (e endpoint) forOthers() error {
	return fmt.Errorf("%s is for operators who have a certificate already (listen_admin): give the URL that the authority advertises, which brevet status prints", e.url)
}

// distrust says what is wrong with the server's certificate.
func (e endpoint) distrust(err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.Is(err, pkix.ErrNotHybrid):
		return fmt.Errorf("the certificate of %s is refused: %w", e.url, err)
	case errors.As(err, &unknown):
		return fmt.Errorf("%s shows a certificate that the pinned root did not issue: somebody may stand in between; if the operator has replaced the root, enroll anew (%w)", e.url, err)
	case errors.As(err, &host):
		return fmt.Errorf("%s is not the name that its server goes by: use the URL that the operator advertises (%w)", e.url, err)
	}
	return fmt.Errorf("the certificate of %s cannot be used: %w", e.url, clockHint(err))
}

// clockHint adds the most frequent cause to an error about validity.
func clockHint(err error) error {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return fmt.Errorf("%w: is the clock of this machine right?", err)
	}
	return err
}
