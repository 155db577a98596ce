package sinks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents/secret"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/durable"
)

// A webhook gets events by POST, as lines. The requests are signed as Standard Webhooks
// (https://www.standardwebhooks.com) says: HMAC-SHA256 over the id, the time and the body.
// Events have arrived when the answer has a status of 2xx.
type webhook struct {
	Config
	client *http.Client
	encode func([]byte, *audit.Event) []byte
	key    secret.Secret
	from   From
	next   atomic.Int64
}

func newWebhook(c Config, from From) (func(context.Context) (conn, error), error) {
	key, err := c.readSecret()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(c.Target)
	if err != nil {
		return nil, err
	}
	secure, err := c.tls(u.Hostname())
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Timeout:       sendTime,
		Transport:     &http.Transport{TLSClientConfig: secure, Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // events go where the operator said
	}
	encode := c.encoder(from)
	return func(context.Context) (conn, error) {
		return &webhook{Config: c, client: client, encode: encode, key: key, from: from}, nil
	}, nil
}

// secretPrefix begins a secret as Standard Webhooks writes it, before the key in base64.
const secretPrefix = "whsec_"

// readSecret reads the key of 24 to 64 octets from a file or a credential of systemd.
func (c Config) readSecret() (secret.Secret, error) {
	name := c.Secret
	if c.Credential != "" {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return secret.Secret{}, fmt.Errorf("secret_credential %q: systemd has set no CREDENTIALS_DIRECTORY", c.Credential)
		}
		name = filepath.Join(dir, filepath.Base(c.Credential))
	}
	text, err := durable.ReadSecret(name, 4096, durable.GroupReads)
	if err != nil {
		return secret.Secret{}, err
	}
	encoded, ok := strings.CutPrefix(strings.TrimSpace(string(text)), secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return secret.Secret{}, fmt.Errorf("the secret in %s must be %s and 24 to 64 octets in base64", name, secretPrefix)
	}
	return secret.New(string(key)), nil
}

func (w *webhook) lost() <-chan struct{}   { return nil }
func (w *webhook) arrived(time.Time) int64 { return w.next.Load() }
func (w *webhook) finish(context.Context)  {}
func (w *webhook) abandon()                { w.client.CloseIdleConnections() }

func (w *webhook) send(ctx context.Context, some []audit.Event) error {
	var body []byte
	for _, e := range some {
		body = append(w.encode(body, &e), '\n')
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.Target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	id := fmt.Sprintf("%s-%d-%d", w.from.TrustDomain, some[0].Seq, some[len(some)-1].Seq)
	now := time.Now().Unix()
	r.Header.Set("Content-Type", contentTypes[w.Format])
	r.Header.Set("User-Agent", "brevet/"+w.from.Version)
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(now, 10))
	r.Header.Set("webhook-signature", sign(w.key, id, now, body))
	answer, err := w.client.Do(r)
	if err != nil {
		return hideQuery(err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is used again
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the webhook answered %d", answer.StatusCode)
	}
	w.next.Store(end(some))
	return nil
}

var contentTypes = map[Format]string{JSON: "application/jsonl", CEF: "text/plain; charset=utf-8"}

// sign returns the signature of a request.
func sign(key secret.Secret, id string, now int64, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	fmt.Fprintf(mac, "%s.%d.", id, now)
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// hideQuery returns an error of the client without the URL, whose query may be secret.
func hideQuery(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}
