// Package api is the operators' API as a client sees it: its types, and a
// [Client] that talks to the running server over the socket in its directory, or over HTTPS.
//
// It imports nothing of brevet's, so that a program that administers an
// authority can import it without the rest.
package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A Client talks to the running server over its socket or over HTTPS.
type Client struct {
	http   *http.Client
	path   string // of the socket
	server string // URL, if not over the socket
}

// SocketName is the socket's name in the authority's directory.
const SocketName = "admin.sock"

// Dial returns a Client for the authority in dir. It connects when it is used.
func Dial(dir string) *Client {
	path := filepath.Join(dir, SocketName)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial}}, path: path}
}

// NewClient returns a Client whose requests a transport carries to the server. The name is
// that of the server in errors. Programs that embed a server call its Admin method instead.
func NewClient(t http.RoundTripper, name string) *Client {
	return &Client{http: &http.Client{Transport: t}, path: name}
}

// DialHTTPS returns a Client for the server that answers operators at a URL, which is
// https://HOST:PORT of listen_admin. c has the certificate of the operator and the roots that
// the server is verified by.
func DialHTTPS(server string, c *tls.Config) *Client {
	t := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true, Proxy: http.ProxyFromEnvironment}
	return &Client{http: &http.Client{Transport: t, CheckRedirect: stay}, server: strings.TrimSuffix(server, "/")}
}

// stay follows no redirection: no server of operators has any.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// An Error is the server's refusal.
type Error struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

func (e *Error) Error() string { return e.Detail }

func (c *Client) send(ctx context.Context, method, path string, query url.Values, body io.Reader) (io.ReadCloser, error) {
	u := url.URL{Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, method, cmp.Or(c.server, "http://brevet")+u.String(), body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode < 300 {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	refusal := &Error{Status: resp.StatusCode}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(refusal); err != nil {
		refusal.Detail = "the server answered " + resp.Status
		if c.server != "" && resp.StatusCode == http.StatusNotFound {
			refusal.Detail = fmt.Sprintf("%s does not answer operators: --server is the address of listen_admin in brevet.yaml, not the URL for agents", c.server)
		}
	}
	return nil, refusal
}

func (c *Client) explain(err error) error {
	if c.server != "" {
		return c.explainHTTPS(err)
	}
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server is running on %s: start it with brevet serve, or name its directory with --dir", c.path)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s is for the user that brevet serve runs as and for the operators in brevet.yaml: run this command as one of them", c.path)
	case closedAtOnce(err):
		return fmt.Errorf("the server on %s closed the connection: it answers root, its own user and the operators in brevet.yaml, and nobody while it stops", c.path)
	}
	return fmt.Errorf("talking to the server on %s: %w", c.path, err)
}

func (c *Client) explainHTTPS(err error) error {
	var hung *net.OpError
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // which has no URL
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	case strings.Contains(err.Error(), "remote error: tls: "), closedAtOnce(err), strings.Contains(err.Error(), "http2: client conn"), errors.As(err, &hung) && hung.Op == "write":
		return fmt.Errorf("the server at %s turned this identity away: the operator may be suspended or removed, or the certificate revoked; an admin sees it in brevet operator show (%w)", c.server, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server answers at %s: it is the address of listen_admin in brevet.yaml (%w)", c.server, err)
	}
	return fmt.Errorf("talking to the server at %s: %w", c.server, err)
}

// closedAtOnce reports whether the server closed the connection without an answer.
func closedAtOnce(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		strings.HasSuffix(err.Error(), "server closed idle connection") // net/http exports no such error
}

// ask has the server do an operation.
func ask[Q, A any](ctx context.Context, c *Client, o Operation[Q, A], q Q) (out A, err error) {
	err = c.call(ctx, o.route, &q, &out)
	return out, err
}

// call sends a request and decodes the answer. It gets pointers to both.
func (c *Client) call(ctx context.Context, route string, q, out any) error {
	body, err := c.open(ctx, route, q)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	return nil
}

// open sends a request and returns the body of a successful answer.
func (c *Client) open(ctx context.Context, route string, q any) (io.ReadCloser, error) {
	method, path, query, hasBody := target(route, q)
	if !hasBody {
		return c.send(ctx, method, path, query, nil)
	}
	text, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, method, path, query, bytes.NewReader(text))
}
