package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Bounds on one attempt. Redirects are followed because RFC 8555, section 8.3 says that
// they should be.
const (
	maxRedirects = 5
	maxResponse  = 64 << 10
	maxHeader    = 16 << 10
)

// A client fetches what one attempt at a challenge needs. It remembers why it failed,
// because smallstep's code reports only one kind of failure for each challenge.
type client struct {
	*dialer
	ctx    context.Context
	proof  proof
	failed *problem
}

// Get serves http-01 (RFC 8555, section 8.3).
func (c *client) Get(address string) (*http.Response, error) {
	body, err := c.fetch(address)
	if err != nil {
		c.failed = explain(err)
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body))}, nil
}

func (c *client) fetch(address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(c.ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "brevet (ACME http-01 validation)")
	transport := &http.Transport{
		DialContext:            c.DialContext,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		// After a redirect to https the certificate is not verified: the agent is
		// about to obtain one.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
	}
	response, err := (&http.Client{Transport: transport, CheckRedirect: checkRedirect}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, newProblem("incorrectResponse", "%.300s answers with status %d", response.Request.URL, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponse+1))
	if err == nil && len(body) > maxResponse {
		err = newProblem("incorrectResponse", "%.300s answers with more than %d bytes", response.Request.URL, maxResponse)
	}
	return body, err
}

func checkRedirect(next *http.Request, via []*http.Request) error {
	u := next.URL
	if len(via) > maxRedirects {
		return newProblem("incorrectResponse", "more than %d redirects", maxRedirects)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Hostname() == "" || len(u.String()) > 2048 {
		return newProblem("incorrectResponse", "a redirect leads to %.300q: want http or https", u.Redacted())
	}
	return nil
}

// LookupTxt serves dns-01 (RFC 8555, section 8.4).
func (c *client) LookupTxt(name string) ([]string, error) {
	records, err := c.lookupTXT(c.ctx, name)
	if err != nil {
		c.failed = explain(err)
	}
	return records, err
}

// TLSDial serves tls-alpn-01 (RFC 8737, section 3): it only completes the handshake.
func (c *client) TLSDial(network, address string, config *tls.Config) (*tls.Conn, error) {
	conn, err := c.handshake(network, address, config)
	if err != nil {
		c.failed = explain(err)
		return nil, err
	}
	return conn, nil
}

func (c *client) handshake(network, address string, config *tls.Config) (*tls.Conn, error) {
	raw, err := c.DialContext(c.ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(c.ctx); err != nil {
		raw.Close()
		if lost(err) {
			return nil, err
		}
		return nil, newProblem("tls", "the TLS handshake with %s failed: %.200v", c.proof.Value, err)
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != "acme-tls/1" {
		err = newProblem("tls", "%s does not negotiate the protocol acme-tls/1", c.proof.Value)
	} else if !onlyName(state.PeerCertificates[0], c.proof.identifier) {
		err = newProblem("incorrectResponse", "the certificate that %s presents does not have exactly that name, and no other", c.proof.Value)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// onlyName reports whether the identifier, with its own type, is the certificate's only
// subject alternative name (RFC 8737, section 3; RFC 8738, section 6). Smallstep's
// check overlooks names of other types and accepts an address written as a DNS name.
func onlyName(c *x509.Certificate, id identifier) bool {
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &names); err != nil || len(rest) > 0 || len(names) != 1 {
			return false
		}
	}
	if id.Type == "ip" {
		return len(c.IPAddresses) == 1 && c.IPAddresses[0].Equal(net.ParseIP(id.Value))
	}
	return len(c.DNSNames) == 1
}

// lost reports whether a handshake failed because of the connection and not because of
// the peer's TLS.
func lost(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && (e.Op == "read" || e.Op == "write") || errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded)
}

// explain turns a failed fetch into the ACME problem for it (RFC 8555, section 6.7). It
// does not repeat what the other side sent.
func explain(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return newProblem("dns", "looking up %.300s: %.200s", e.Name, e.Err)
	}
	where := ""
	if e, ok := errors.AsType[*url.Error](err); ok {
		where = fmt.Sprintf("%.300s: ", e.URL)
		err = e.Err
	}
	op, network := errors.AsType[*net.OpError](err)
	_, header := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), network && op.Timeout():
		return newProblem("connection", "%sno complete answer came in time", where)
	case header, network && (op.Op == "remote error" || op.Op == "local error"):
		return newProblem("tls", "%s%.200s", where, err)
	case network, errors.Is(err, errRefused):
		return newProblem("connection", "%s%.200s", where, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return newProblem("connection", "%sthe connection was closed before the answer was complete", where)
	}
	return newProblem("incorrectResponse", "%sthe answer cannot be read as HTTP with at most %d bytes of header", where, maxHeader)
}
