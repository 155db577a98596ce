package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/client"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// BenchmarkWholeProgram measures a real server, in a process of its own, over
// TLS on loopback with connections kept alive, beside references that run in
// the same way in the same run: testdata/bench/README.md says how to read it.
func BenchmarkWholeProgram(b *testing.B) {
	for _, clients := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			brevet := startBrevet(b, clients)
			b.Run("certificate", func(b *testing.B) { load(b, brevet, brevet.certificate()) })
			b.Run("token-mtls", func(b *testing.B) { load(b, brevet, brevet.token()) })
			b.Run("token-jwt", func(b *testing.B) { load(b, brevet, brevet.tokenByAssertion(b)) })
			b.Run("introspection", func(b *testing.B) { load(b, brevet, brevet.introspection(b)) })
			for _, kind := range []string{"certificate-unstored", "certificate-stored", "token-stored", "echo"} {
				b.Run("reference-"+kind, func(b *testing.B) {
					r := startReference(b, kind, brevet)
					load(b, r, r.requests(kind))
				})
			}
		})
	}
}

// A target is a server in its own process, and the clients that call it.
type target struct {
	*process
	url     string
	clients []*benchClient
}

type benchClient struct {
	http  *http.Client
	agent *client.Identity
	csr   string // JSON body of a certificate request
	key   *ecdsa.PrivateKey
}

// A request makes the nth call of one client.
type request func(c *benchClient) (*http.Request, error)

// load has the target's clients make b.N calls between them, and reports what
// they cost.
func load(b *testing.B, t *target, next request) {
	for _, c := range t.clients { // connections are made before the clock runs
		if err := c.call(next); err != nil {
			b.Fatal(err)
		}
	}
	before := t.usage()
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, len(t.clients))
	var wait sync.WaitGroup
	b.ResetTimer()
	for i, c := range t.clients {
		wait.Go(func() {
			for left.Add(-1) >= 0 {
				begin := time.Now()
				if err := c.call(next); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(begin))
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	reportCost(b, t.usage().since(before), slices.Concat(took...))
}

func reportCost(b *testing.B, u usage, took []time.Duration) {
	slices.Sort(took)
	n := float64(len(took))
	b.ReportMetric(n/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(u.cpu.Microseconds())/n, "cpu-µs/op")
	b.ReportMetric(float64(u.written)/n, "written-B/op")
	b.ReportMetric(float64(u.mallocs)/n, "mallocs/op")
}

func (c *benchClient) call(next request) error {
	r, err := next(c)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s %s", r.Method, r.URL.Path, resp.Status, body)
	}
	return err
}

// startBrevet starts an authority, made with flags, and enrolls the clients'
// agents.
func startBrevet(b *testing.B, clients int, flags ...string) *target {
	p, a := startAuthority(b, flags...)
	t := &target{process: p, url: a.url}
	var pins []client.Fingerprint
	for pin := range strings.SplitSeq(a.fingerprint, ",") {
		f, err := client.ParseFingerprint(pin)
		if err != nil {
			b.Fatal(err)
		}
		pins = append(pins, f)
	}
	for i := range clients {
		in, err := api.Dial(a.dir).AddAgent(b.Context(), fmt.Sprintf("agent-%d", i), api.Change{
			Owner: new("bench"), TTL: new(time.Hour), Scopes: []string{"read", "brevet:introspect"}, Audiences: []string{"https://api.example"},
		})
		if err != nil {
			b.Fatal(err)
		}
		id, err := client.Enroll(b.Context(), client.EnrollConfig{
			Server: a.url, Fingerprints: pins, Token: client.NewSecret(in.Enrollment.Token), Dir: b.TempDir(),
		})
		if err != nil {
			b.Fatal(err)
		}
		t.clients = append(t.clients, newBenchClient(b, id))
	}
	return t
}

func newBenchClient(b *testing.B, id *client.Identity) *benchClient {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		b.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	c := &benchClient{agent: id, csr: fmt.Sprintf(`{"csr":%q}`, text), key: key}
	c.http = keepAlive(b, id.TLSConfig())
	return c
}

func keepAlive(b *testing.B, c *tls.Config) *http.Client {
	tr := &http.Transport{TLSClientConfig: c, MaxIdleConnsPerHost: 1}
	b.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

func post(url, contentType, body string) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err == nil {
		r.Header.Set("Content-Type", contentType)
	}
	return r, err
}

func postForm(url string, form url.Values) (*http.Request, error) {
	return post(url, "application/x-www-form-urlencoded", form.Encode())
}

func (t *target) certificate() request {
	return func(c *benchClient) (*http.Request, error) {
		return post(t.url+"/v1/certificates", "application/json", c.csr)
	}
}

func (t *target) token() request {
	return func(*benchClient) (*http.Request, error) {
		return postForm(t.url+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}})
	}
}

// introspection asks about one token again and again, which the server cannot
// know: it looks each time.
func (t *target) introspection(b *testing.B) request {
	bodies := map[*benchClient]string{} // encoded once, as the echo's is
	for _, c := range t.clients {
		token, err := c.agent.Token(b.Context(), client.TokenRequest{Scopes: []string{"read"}})
		if err != nil {
			b.Fatal(err)
		}
		bodies[c] = url.Values{"token": {token.Reveal()}}.Encode()
	}
	return func(c *benchClient) (*http.Request, error) {
		return post(t.url+"/oauth/introspect", "application/x-www-form-urlencoded", bodies[c])
	}
}
