// Package api is the operators' API as a client sees it: its types, and a
// [Client] that talks to the running server over the socket in its directory.
//
// It imports nothing of brevet's, so that a program that administers an
// authority can import it without the rest.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Client talks to the running server over its socket.
type Client struct {
	http *http.Client
	path string
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

// An Error is the server's refusal.
type Error struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

func (e *Error) Error() string { return e.Detail }

// open sends a request and returns the body of a successful answer.
func (c *Client) open(ctx context.Context, method, path string, query url.Values, in any) (io.ReadCloser, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	u := url.URL{Scheme: "http", Host: "brevet", Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), body)
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
	}
	return nil, refusal
}

func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server is running on %s: start it with brevet serve, or name its directory with --dir", c.path)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s belongs to the user that brevet serve runs as: run this command as that user", c.path)
	}
	return fmt.Errorf("talking to the server on %s: %w", c.path, err)
}

func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, in any) (T, error) {
	var out T
	body, err := c.open(ctx, method, path, query, in)
	if err != nil {
		return out, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&out); err != nil {
		return out, fmt.Errorf("reading the server's answer: %w", err)
	}
	return out, nil
}

// AddAgent registers an agent and returns its enrollment token and ACME key.
func (c *Client) AddAgent(ctx context.Context, name string, change Change) (Invited, error) {
	return call[Invited](ctx, c, "POST", "/agents", nil, AddRequest{name, change})
}

// A Filter chooses agents to list. Empty members choose all.
type Filter struct {
	State, Owner string
	Labels       map[string]string
	Stale        time.Duration // no certificate was issued for that long
}

// Agents lists agents by name.
func (c *Client) Agents(ctx context.Context, f Filter) ([]Agent, error) {
	q := url.Values{}
	set(q, "state", f.State)
	set(q, "owner", f.Owner)
	if f.Stale > 0 {
		q.Set("stale", f.Stale.String())
	}
	for k, v := range f.Labels {
		q.Add("label", k+"="+v)
	}
	return call[[]Agent](ctx, c, "GET", "/agents", q, nil)
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func agentPath(name string, rest ...string) string {
	return strings.Join(append([]string{"/agents", url.PathEscape(name)}, rest...), "/")
}

// Agent returns one agent.
func (c *Client) Agent(ctx context.Context, name string) (Shown, error) {
	return call[Shown](ctx, c, "GET", agentPath(name), nil, nil)
}

// SetAgent changes an agent.
func (c *Client) SetAgent(ctx context.Context, name string, change Change) (Agent, error) {
	return call[Agent](ctx, c, "PATCH", agentPath(name), nil, change)
}

type why struct {
	Reason string `json:"reason,omitempty"`
}

// Suspend ends all that an agent holds, until it is resumed. reason is a
// CRLReason by name, or empty.
func (c *Client) Suspend(ctx context.Context, name, reason string) (Receipt, error) {
	return call[Receipt](ctx, c, "POST", agentPath(name, "suspend"), nil, why{reason})
}

// Decommission ends an agent for ever.
func (c *Client) Decommission(ctx context.Context, name, reason string) (Receipt, error) {
	return call[Receipt](ctx, c, "POST", agentPath(name, "decommission"), nil, why{reason})
}

// Resume lets a suspended agent obtain credentials again.
func (c *Client) Resume(ctx context.Context, name string) (Agent, error) {
	return call[Agent](ctx, c, "POST", agentPath(name, "resume"), nil, nil)
}

// Reenroll returns a new enrollment token and ACME key for an agent.
func (c *Client) Reenroll(ctx context.Context, name string) (Invited, error) {
	return call[Invited](ctx, c, "POST", agentPath(name, "reenroll"), nil, nil)
}

// IssueCertificate issues a certificate at the operator's word.
func (c *Client) IssueCertificate(ctx context.Context, name string, r IssueRequest) (Issued, error) {
	return call[Issued](ctx, c, "POST", agentPath(name, "certificates"), nil, r)
}

// Certificates lists certificates. An empty agent or state means any.
func (c *Client) Certificates(ctx context.Context, agent, state string) ([]Certificate, error) {
	q := url.Values{}
	set(q, "agent", agent)
	set(q, "state", state)
	return call[[]Certificate](ctx, c, "GET", "/certificates", q, nil)
}

// Certificate returns one certificate's record.
func (c *Client) Certificate(ctx context.Context, serial string) (Certificate, error) {
	return call[Certificate](ctx, c, "GET", "/certificates/"+url.PathEscape(serial), nil, nil)
}

// RevokeCertificate revokes one certificate.
func (c *Client) RevokeCertificate(ctx context.Context, serial, reason string) (Receipt, error) {
	return call[Receipt](ctx, c, "POST", "/certificates/"+url.PathEscape(serial)+"/revoke", nil, why{reason})
}

// Tokens lists access tokens. An empty agent means any.
func (c *Client) Tokens(ctx context.Context, agent string) ([]Token, error) {
	q := url.Values{}
	set(q, "agent", agent)
	return call[[]Token](ctx, c, "GET", "/tokens", q, nil)
}

// RevokeToken revokes one access token.
func (c *Client) RevokeToken(ctx context.Context, jti, reason string) (Receipt, error) {
	return call[Receipt](ctx, c, "POST", "/tokens/"+url.PathEscape(jti)+"/revoke", nil, why{reason})
}

// Introspect returns the answer of RFC 7662 for a token, as JSON.
func (c *Client) Introspect(ctx context.Context, token string) (json.RawMessage, error) {
	return call[json.RawMessage](ctx, c, "POST", "/tokens/introspect", nil, map[string]string{"token": token})
}

// Revoke revokes what fits a selection, or only counts it.
func (c *Client) Revoke(ctx context.Context, s Selection) (Receipt, error) {
	return call[Receipt](ctx, c, "POST", "/revoke", nil, s)
}

// CRL returns a published list; an empty issuer means the active one.
func (c *Client) CRL(ctx context.Context, issuer string) (CRL, error) {
	q := url.Values{}
	set(q, "issuer", issuer)
	return call[CRL](ctx, c, "GET", "/crl", q, nil)
}

// PublishCRL publishes a list now.
func (c *Client) PublishCRL(ctx context.Context) (CRL, error) {
	return call[CRL](ctx, c, "POST", "/crl", nil, nil)
}

// An EventFilter chooses entries of the audit log.
type EventFilter struct {
	Agent  string
	Since  time.Time
	Follow bool // go on with new entries as they come
}

// Events calls f with the chosen entries in their order, as JSON documents.
func (c *Client) Events(ctx context.Context, filter EventFilter, f func(json.RawMessage) error) error {
	q := url.Values{"follow": {strconv.FormatBool(filter.Follow)}}
	set(q, "agent", filter.Agent)
	if !filter.Since.IsZero() {
		q.Set("since", filter.Since.Format(time.RFC3339Nano))
	}
	body, err := c.open(ctx, "GET", "/audit", q, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := json.NewDecoder(body)
	for {
		var e json.RawMessage
		if err := lines.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("the log was cut off here, the server's own log says why: %w", err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
}

// VerifyLog checks the whole audit log, also against a checkpoint saved
// earlier if it is not empty.
func (c *Client) VerifyLog(ctx context.Context, checkpoint string) (Verified, error) {
	return call[Verified](ctx, c, "POST", "/audit/verify", nil, map[string]string{"checkpoint": checkpoint})
}

// Prove returns a document that proves an entry to be in the log.
func (c *Client) Prove(ctx context.Context, seq int64) (json.RawMessage, error) {
	return call[json.RawMessage](ctx, c, "GET", "/audit/proof/"+strconv.FormatInt(seq, 10), nil, nil)
}

// Keys lists the signing keys.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	return call[[]Key](ctx, c, "GET", "/keys", nil, nil)
}

// RotateKey makes a new key of a purpose, like the old one, and puts it to work.
func (c *Client) RotateKey(ctx context.Context, purpose string) (Key, error) {
	return c.RotateKeyTo(ctx, purpose, "")
}

// RotateKeyTo is RotateKey for a key of another algorithm than the old one.
func (c *Client) RotateKeyTo(ctx context.Context, purpose, algorithm string) (Key, error) {
	q := url.Values{}
	set(q, "algorithm", algorithm)
	return call[Key](ctx, c, "POST", "/keys/"+url.PathEscape(purpose)+"/rotate", q, nil)
}

// RehearseKey says what RotateKeyTo would do, and changes nothing.
func (c *Client) RehearseKey(ctx context.Context, purpose, algorithm string) (Rehearsal, error) {
	q := url.Values{}
	set(q, "algorithm", algorithm)
	return call[Rehearsal](ctx, c, "POST", "/keys/"+url.PathEscape(purpose)+"/rehearse", q, nil)
}

// Rehearse is RehearseKey for all keys that could have the algorithm.
func (c *Client) Rehearse(ctx context.Context, algorithm string) ([]Rehearsal, error) {
	return call[[]Rehearsal](ctx, c, "POST", "/rehearse", url.Values{"algorithm": {algorithm}}, nil)
}

// Backup writes a copy of the store, as of one instant, to w.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	body, err := c.open(ctx, "GET", "/backup", nil, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("receiving the backup: %w", err)
	}
	return nil
}

// Status returns how the authority is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, "GET", "/status", nil, nil)
}
