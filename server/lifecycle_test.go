package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
)

// reading has a reader with a certificate and a token, and an API that asks.
type reading struct {
	*servertest.World
	t           *testing.T
	reader, api *servertest.Agent
	token       string
}

func newReading(t *testing.T, change ...func(*server.InitConfig)) *reading {
	t.Helper()
	w := &reading{World: servertest.New(t, change...), t: t}
	w.reader = w.Enroll("reader", agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}, TTL: new(time.Hour)})
	w.api = w.Enroll("api", agents.Change{Scopes: []string{"brevet:introspect"}, TTL: new(time.Hour)})
	w.token = w.mint(w.reader)
	return w
}

func (w *reading) mint(a *servertest.Agent) string {
	w.t.Helper()
	got := a.Token(nil)
	if got.Status != http.StatusOK {
		w.t.Fatalf("token of %s: %d %s", a.Name, got.Status, got.Body)
	}
	return got.JSON["access_token"].(string)
}

// works checks that the reader's token is active and its certificate renews.
func (w *reading) works(what string, token string, want bool) {
	w.t.Helper()
	if got := w.api.Introspect(token); got.Status != http.StatusOK || got.JSON["active"] != want {
		w.t.Errorf("%s: introspection answers %d %s, want active: %t", what, got.Status, got.Body, want)
	}
	reader := *w.reader
	if got := reader.Renew(); (got.Status == http.StatusOK) != want {
		w.t.Errorf("%s: renewal answers %d %s, want it to work: %t", what, got.Status, got.Body, want)
	}
}

// presented returns the certificate that the server presents to a new client.
func presented(t *testing.T, w *servertest.World) *x509.Certificate {
	t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(w.URL, "https://"), &tls.Config{RootCAs: w.Roots, Time: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// TestServerRenewsItsCertificate after the machine slept past its end, on the
// first handshake.
func TestServerRenewsItsCertificate(t *testing.T) {
	w := servertest.New(t)
	first := presented(t, w)
	if got := first.Subject.CommonName; got != "brevet" || first.NotAfter.Sub(first.NotBefore) > time.Hour+10*time.Minute || len(first.ExtKeyUsage) != 1 || first.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("it presents %s, for %v, until %s", got, first.ExtKeyUsage, first.NotAfter)
	}
	if again := presented(t, w); !again.Equal(first) {
		t.Error("it presents another certificate each time")
	}
	w.Clock.Advance(3 * time.Hour)
	second := presented(t, w)
	if second.Equal(first) || !second.NotAfter.After(w.Clock.Now()) {
		t.Errorf("after three hours it presents one until %s", second.NotAfter)
	}
	list, err := w.Admin.Certificates(t.Context(), "brevet", "")
	if err != nil || len(list) != 2 {
		t.Errorf("on record are %+v, %v", list, err)
	}
}

// TestRotatedTokenKey: tokens of the old key still introspect and verify, new
// ones have the new key.
func TestRotatedTokenKey(t *testing.T) {
	t.Parallel() // it waits for a server to stop
	w := newReading(t)
	before := w.Get(w.Client(), "/oauth/jwks")
	key, err := w.Admin.RotateKeyNow(t.Context(), "tokens", "")
	if err != nil || key.State != "active" || key.Purpose != "tokens" {
		t.Fatalf("%+v, %v", key, err)
	}
	w.works("with a token of the old key", w.token, true)
	fresh := w.mint(w.reader)
	w.works("with a token of the new key", fresh, true)
	after := w.Get(w.Client(), "/oauth/jwks")
	if strings.Contains(before, key.ID) || strings.Count(before, `"kid"`) != 1 || !strings.Contains(after, key.ID) || strings.Count(after, `"kid"`) != 2 {
		t.Errorf("served were %s, and are %s", before, after)
	}
	w.Stop()
	w.Start()
	w.works("after a restart", w.token, true)
	w.works("after a restart", fresh, true)
}

// TestRotatedIssuer: old certificates still work and can be revoked on the list
// of their issuer; new ones chain to the new issuer and the same root.
func TestRotatedIssuer(t *testing.T) {
	t.Parallel() // it waits for a server to stop
	w := newReading(t)
	key, err := w.Admin.RotateKeyNow(t.Context(), "issuer", "")
	if err != nil || key.Expires.IsZero() {
		t.Fatalf("%+v, %v", key, err)
	}
	w.works("with a certificate of the old issuer", w.token, true)
	old := *w.reader
	w.reader.Use(w.reader.Renew())
	if _, err := w.reader.Leaf.Verify(x509.VerifyOptions{Roots: w.Roots, Intermediates: pool(t, w.reader), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if string(w.reader.Leaf.AuthorityKeyId) == string(old.Leaf.AuthorityKeyId) {
		t.Error("the new certificate is the old issuer's")
	}
	if chain := w.Get(w.Client(), "/chain.pem"); strings.Count(chain, "BEGIN CERTIFICATE") != 1 || !strings.Contains(string(ca.PEM(w.reader.Cert.Certificate[1])), chain) {
		t.Errorf("the chain that is served is not the one that comes with certificates")
	}
	receipt, err := w.Admin.Suspend(t.Context(), "reader", "keyCompromise")
	if err != nil || receipt.Certificates != 3 || len(receipt.CRL) != 2 || receipt.CRL[0].Issuer != key.ID || receipt.CRL[1].Issuer != w.Issuer {
		t.Errorf("receipt %+v, %v", receipt, err)
	}
	w.works("suspended", w.token, false)
	for issuer, leaf := range map[string]*x509.Certificate{w.Issuer: old.Leaf, key.ID: w.reader.Leaf} {
		list := fetchListOf(t, w.World, issuer)
		if !servertest.Lists(list, leaf) {
			t.Errorf("the list of %s does not have the certificate that it issued", issuer)
		}
	}
	w.Stop()
	w.Start()
	if list := fetchListOf(t, w.World, w.Issuer); !servertest.Lists(list, old.Leaf) {
		t.Error("after a restart, the list of the old issuer has not its certificate")
	}
}

func fetchListOf(t *testing.T, w *servertest.World, issuer string) *x509.RevocationList {
	t.Helper()
	mine := w.Issuer
	defer func() { w.Issuer = mine }()
	w.Issuer = issuer
	return w.CRL()
}

// TestRestartKeepsEverything but the list's number, which rises.
func TestRestartKeepsEverything(t *testing.T) {
	t.Parallel() // it waits for a server to stop
	w := newReading(t)
	if _, err := w.Admin.RevokeCertificate(t.Context(), w.api.Leaf.SerialNumber.Text(16), ""); err != nil {
		t.Fatal(err)
	}
	revoked := w.api.Leaf
	again, err := w.Admin.Reenroll(t.Context(), "api")
	if err != nil {
		t.Fatal(err)
	}
	keys, events, number := must1(w.Admin.Keys(t.Context()))(t), len(w.Events()), w.World.CRL().Number
	w.Stop()
	w.Start()
	got := w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": again.Enrollment.Token, "csr": w.api.CSR(nil)})
	if got.Status != http.StatusOK {
		t.Fatalf("the enrollment token from before: %d %s", got.Status, got.Body)
	}
	w.api.Use(got)
	w.works("after a restart", w.token, true)
	if list := w.World.CRL(); list.Number.Cmp(number) <= 0 || !servertest.Lists(list, revoked) || servertest.Lists(list, w.reader.Leaf) {
		t.Errorf("list %s after %s has %v", list.Number, number, list.RevokedCertificateEntries)
	}
	if after := must1(w.Admin.Keys(t.Context()))(t); len(after) != len(keys) || after[0] != keys[0] {
		t.Errorf("keys %+v, were %+v", after, keys)
	}
	all := w.Events()
	if len(all) <= events {
		t.Fatalf("%d events, were %d", len(all), events)
	}
	if started := all[events]; started.Action != "server.start" || started.Actor != "system" || started.Subject != "brevet" {
		t.Errorf("recorded first after it is %+v", started)
	}
	if _, err := w.Admin.VerifyLog(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

func must1[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestPublicDocuments are there for everybody, over the right listener.
func TestPublicDocuments(t *testing.T) {
	w := servertest.New(t)
	get := func(url string) (int, http.Header, string) {
		t.Helper()
		r, err := w.Client().Get(url)
		if err != nil {
			t.Fatal(err)
		}
		got := servertest.Read(w, r)
		return got.Status, got.Header, got.Body
	}
	for url, c := range map[string]struct {
		status int
		kind   string
	}{
		w.URL + "/healthz": {200, "text/plain; charset=utf-8"}, w.URL + "/readyz": {200, "text/plain; charset=utf-8"}, w.HTTP + "/healthz": {200, "text/plain; charset=utf-8"},
		w.URL + "/roots.pem": {200, "application/pem-certificate-chain"}, w.URL + "/chain.pem": {200, "application/pem-certificate-chain"}, w.URL + "/metrics": {404, "text/plain; charset=utf-8"},
		w.HTTP + ca.CertificatePath(w.Issuer): {200, "application/pkix-cert"}, w.HTTP + ca.CRLPath(w.Issuer): {200, "application/pkix-crl"},
		w.HTTP + ca.OCSPPath + "/MAA=": {400, "application/ocsp-response"}, w.HTTP + ca.OCSPPath: {405, "text/plain; charset=utf-8"}, w.URL + ca.OCSPPath + "/MAA=": {404, "text/plain; charset=utf-8"},
		w.HTTP + "/issuer/00.cer": {404, "text/plain; charset=utf-8"}, w.HTTP + "/issuer/" + w.Issuer: {404, "text/plain; charset=utf-8"}, w.HTTP + "/crl/00.crl": {404, "text/plain; charset=utf-8"},
		w.HTTP + "/oauth/jwks": {404, "text/plain; charset=utf-8"}, w.HTTP + "/v1/enroll": {404, "text/plain; charset=utf-8"}, w.HTTP + "/metrics": {404, "text/plain; charset=utf-8"},
		w.URL + "/agents": {404, "text/plain; charset=utf-8"}, w.URL + "/status": {404, "text/plain; charset=utf-8"}, w.URL + "/backup": {404, "text/plain; charset=utf-8"}, w.URL + "/": {404, "text/plain; charset=utf-8"},
	} {
		status, header, body := get(url)
		if status != c.status || header.Get("Content-Type") != c.kind || len(header.Get("X-Request-Id")) != 16 {
			t.Errorf("GET %s: %d %v %.100q", url, status, header, body)
		}
	}
	w.Clock.Advance(time.Hour) // the list is old for a moment, until the step is noticed
	if _, err := w.Admin.PublishCRL(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, _, body := get(w.URL + "/readyz"); status != http.StatusOK {
		t.Errorf("with a new CRL: %d %s", status, body)
	}
}

// TestAuditKeyRotatesUnderUse: checkpoints are signed while the key is replaced.
func TestAuditKeyRotatesUnderUse(t *testing.T) {
	w := servertest.New(t)
	var wait sync.WaitGroup
	wait.Go(func() {
		for range 20 {
			if _, err := w.Admin.VerifyLog(t.Context(), ""); err != nil {
				t.Error(err)
			}
		}
	})
	for range 5 {
		if _, err := w.Admin.RotateKey(t.Context(), "audit"); err != nil {
			t.Error(err)
		}
	}
	wait.Wait()
}
