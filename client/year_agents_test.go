package client

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// A worker is an agent of the year.
type worker interface {
	work(context.Context) error               // does what the agent is there for
	keys() []string                           // public keys that an operator registers
	admit(context.Context, api.Invited) error // takes what brevet agent add or reenroll printed
	rekey(context.Context) error              // makes another long-lived key
}

// A runner keeps a certificate by client.Run.
type runner struct {
	*year
	name string
	end  endpoint
	dir  string
	key  string // file of the lasting key, or ""
	id   *Identity
	hold func() // holds Run when it reports something; may be nil

	mu         sync.Mutex
	done, last error // what Run returned, and what it reported last
}

func (r *runner) admit(ctx context.Context, in api.Invited) error {
	c := EnrollConfig{Server: r.end.url, Fingerprints: r.pins, Dir: r.dir, Token: NewSecret(in.Enrollment.Token)}
	if r.key != "" {
		c.Key, c.Agent, c.Token = r.key, r.name, Secret{}
	}
	id, err := c.enroll(ctx, r.end)
	if err != nil {
		return err
	}
	r.mu.Lock()
	runs := r.id != nil && r.done == nil
	r.mu.Unlock()
	if runs {
		return nil // it finds what is in its directory now
	}
	r.id = id
	r.note(&r.done, nil)
	r.running.Go(func() {
		r.note(&r.done, r.id.Run(r.ctx, r.report))
	})
	return nil
}

func (r *runner) report(err error) {
	r.note(&r.last, err)
	if r.hold != nil {
		r.hold()
	}
}

func (r *runner) note(at *error, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*at = err
}

func (r *runner) work(context.Context) error {
	r.mu.Lock()
	done, last := r.done, r.last
	r.mu.Unlock()
	if done != nil {
		return fmt.Errorf("Run has returned: %w", done)
	}
	if _, err := r.id.alive(time.Now()); err != nil {
		return fmt.Errorf("%w; the last try: %w", err, last)
	}
	return r.relying.accepts(r.id.pair().Certificate.Certificate)
}

func (r *runner) keys() []string {
	if r.key == "" {
		return nil
	}
	key, err := readKey(r.key)
	check(r.t, err)
	return publicPEM(r.t, key)
}

func (r *runner) rekey(context.Context) error {
	return errors.New("client run replaces a lasting key by itself, before anybody is warned")
}

func publicPEM(t *testing.T, key crypto.Signer) []string {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	check(t, err)
	return []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

// lastingKeyFile makes a lasting key.
func lastingKeyFile(t *testing.T) string {
	key, err := newKey()
	check(t, err)
	text, err := keyPEM(key)
	check(t, err)
	file := filepath.Join(t.TempDir(), "lasting.key")
	check(t, os.WriteFile(file, text, 0o600))
	return file
}

// A keyClient gets tokens by a registered key, and has no certificate. A resource server
// introspects each of them.
type keyClient struct {
	*year
	name string
	end  endpoint
	key  crypto.Signer
}

func (k *keyClient) admit(context.Context, api.Invited) error { return nil }
func (k *keyClient) keys() []string                           { return publicPEM(k.t, k.key) }

func (k *keyClient) rekey(context.Context) (err error) {
	k.key, err = newKey()
	return err
}

func (k *keyClient) work(ctx context.Context) error {
	text, err := assertion(k.key, k.name, k.end.url, time.Now())
	if err != nil {
		return err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {k.name}, "client_assertion_type": {assertionType}, "client_assertion": {text}}
	answer, err := k.end.post(ctx, k.relying.https(), "/oauth/token", "application/x-www-form-urlencoded", []byte(form.Encode()))
	if err != nil {
		return err
	}
	token, err := parseToken(answer, time.Now())
	if err != nil {
		return err
	}
	header, _, _ := strings.Cut(token.Reveal(), ".") // names the key
	k.signers[header] = true
	return k.introspect(ctx, token, k.name)
}

// introspect has the resource server ask about a token.
func (y *year) introspect(ctx context.Context, token *Token, agent string) error {
	r := y.resource
	p, err := r.id.alive(time.Now())
	if err != nil {
		return fmt.Errorf("the resource server: %w", err)
	}
	answer, err := r.end.post(ctx, r.id.trust.Load().mutual(p), "/oauth/introspect", "application/x-www-form-urlencoded", []byte(url.Values{"token": {token.Reveal()}}.Encode()))
	if err != nil {
		return fmt.Errorf("introspecting: %w", err)
	}
	var said struct {
		Active bool   `json:"active"`
		Client string `json:"client_id"`
	}
	if err := json.Unmarshal(answer, &said); err != nil || !said.Active || said.Client != agent {
		return fmt.Errorf("the token is not active: %s", answer)
	}
	return nil
}
