// Package rawacme sends requests of ACME (RFC 8555) that the libraries do not
// send, for system tests.
package rawacme

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/server/servertest"
)

// A Client sends what the libraries do not: it signs by an ECDSA key on P-256.
type Client struct {
	HTTP  *http.Client
	URL   string // of the authority
	Key   crypto.Signer
	KID   string // of the account; if empty, the key itself is sent
	nonce string
}

// From returns a client with the account and the key of one of golang.org/x/crypto/acme.
func From(c *acme.Client) *Client {
	return &Client{HTTP: c.HTTPClient, URL: strings.TrimSuffix(c.DirectoryURL, "/acme/directory"), Key: c.Key, KID: string(c.KID)}
}

// Post signs a payload, nil for POST-as-GET, and sends it; again, if all that
// the authority dislikes is the nonce. A problem is an [acme.Error].
func (r *Client) Post(url string, payload any) (servertest.Answer, error) {
	var text []byte
	if payload != nil {
		var err error
		if text, err = json.Marshal(payload); err != nil {
			return servertest.Answer{}, err
		}
	}
	for try := 0; ; try++ {
		got, err := r.send(url, text)
		if ProblemType(err) != "badNonce" || try == 3 {
			return got, err
		}
	}
}

func (r *Client) send(url string, payload []byte) (servertest.Answer, error) {
	if r.nonce == "" {
		got, err := complete(r.HTTP.Head(r.URL + "/acme/new-nonce"))
		if err != nil {
			return got, err
		}
		r.nonce = got.Header.Get("Replay-Nonce")
	}
	options := &jose.SignerOptions{NonceSource: r, EmbedJWK: r.KID == "", ExtraHeaders: map[jose.HeaderKey]any{"url": url}}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: r.Key, KeyID: r.KID}}, options)
	if err != nil {
		return servertest.Answer{}, err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return servertest.Answer{}, err
	}
	got, err := complete(r.HTTP.Post(url, "application/jose+json", strings.NewReader(signed.FullSerialize())))
	if err != nil {
		return got, err
	}
	r.nonce = got.Header.Get("Replay-Nonce")
	if got.Status < 300 {
		return got, nil
	}
	var p struct{ Type, Detail string }
	if err := json.Unmarshal([]byte(got.Body), &p); err != nil {
		return got, fmt.Errorf("not a problem: %w: %d %s", err, got.Status, got.Body)
	}
	return got, &acme.Error{StatusCode: got.Status, ProblemType: p.Type, Detail: p.Detail, Header: got.Header}
}

// Nonce gives the signer the nonce, which is used up.
func (r *Client) Nonce() (string, error) {
	n := r.nonce
	r.nonce = ""
	return n, nil
}

// Revoke asks to revoke a certificate.
func (r *Client) Revoke(der []byte) error {
	_, err := r.Post(r.URL+"/acme/revoke-cert", map[string]any{"certificate": base64.RawURLEncoding.EncodeToString(der)})
	return err
}

func complete(r *http.Response, err error) (servertest.Answer, error) {
	if err != nil {
		return servertest.Answer{}, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return servertest.Answer{Status: r.StatusCode, Header: r.Header, Body: string(body)}, err
}

const problemPrefix = "urn:ietf:params:acme:error:"

// ProblemType returns the type of the problem that an [acme.Error] is, or
// nothing for other errors.
func ProblemType(err error) string {
	var problem *acme.Error
	if !errors.As(err, &problem) {
		return ""
	}
	return strings.TrimPrefix(problem.ProblemType, problemPrefix)
}
