package client

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/storage/durable"
)

// A lasting key is one that is registered for an agent. It outlives the agent's certificates
// and obtains new ones by itself (RFC 7523).

// readKey reads the private half from a file, as PKCS #8 in PEM.
func readKey(file string) (crypto.Signer, error) {
	text, err := durable.ReadSecret(file, maxFile, durable.GroupReads)
	if err != nil {
		return nil, fmt.Errorf("reading the registered key: %w", err)
	}
	key, err := parseKeyPEM(text)
	if err != nil {
		return nil, fmt.Errorf("reading the registered key %s: %w", file, err)
	}
	return key, nil
}

// certifyByKey is certify for an agent that proves who it is by a lasting key. If the authority
// refuses the key, and the next one is there already, that may be registered: the answer was
// lost. Then it takes the place of the old one.
func (e endpoint) certifyByKey(ctx context.Context, t *trust, file, agent string, a asking, key crypto.Signer) (*pair, *seconds, error) {
	p, grace, err := e.certifyBy(ctx, t, file, agent, a, key)
	if !unauthorized(err) {
		return p, grace, err
	}
	if next, nextErr := readNext(file); next == nil || nextErr != nil {
		return p, grace, err
	}
	p, grace, nextErr := e.certifyBy(ctx, t, file+nextSuffix, agent, a, key)
	if unauthorized(nextErr) {
		return nil, nil, err // the one to speak of is the old one
	}
	if nextErr == nil {
		nextErr = durable.Rename(file+nextSuffix, file)
	}
	return p, grace, nextErr
}

func (e endpoint) certifyBy(ctx context.Context, t *trust, file, agent string, a asking, key crypto.Signer) (*pair, *seconds, error) {
	lasting, err := readKey(file)
	if err != nil {
		return nil, nil, err
	}
	if a.Assertion, err = assertion(lasting, agent, e.url, time.Now()); err != nil {
		return nil, nil, err
	}
	return e.certify(ctx, t.config(), t, "/v1/certificates", a, key)
}

// certify asks for the next certificate by the current one or, if that is refused for good, by
// the lasting key that the agent may have.
func (id *Identity) certify(ctx context.Context, current *tls.Config, t *trust, agent string, a asking, key crypto.Signer) (*pair, *seconds, error) {
	p, grace, err := id.at().certify(ctx, current, t, "/v1/certificates", a, key)
	if file := id.lasting(); file != "" && unauthorized(err) {
		return id.at().certifyByKey(ctx, t, file, agent, a, key)
	}
	return p, grace, err
}

// lasting returns the file of the lasting key, or "".
func (id *Identity) lasting() string {
	set, err := id.dir.settings()
	if err != nil {
		return ""
	}
	return set.Key
}

// checkLasting returns nil if the lasting key can be read, or if there is none. Otherwise the
// agent does not come back once its certificate cannot renew.
func (id *Identity) checkLasting() error {
	file := id.lasting()
	if file == "" {
		return nil
	}
	_, err := readKey(file)
	return err
}

func unauthorized(err error) bool {
	refused, ok := errors.AsType[*Error](err)
	return ok && refused.Status == http.StatusUnauthorized
}
