package ca_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
)

const (
	td      = catest.TrustDomain
	baseURL = catest.BaseURL
)

// start is where every world's clock begins, within a second.
var start = catest.Start

// A world is an authority without a server, with a clock that tests set.
type world struct {
	*ca.CA
	*catest.Store
	t            testing.TB
	db           *hookedDB
	authority    *catest.Authority
	now          time.Time
	root, issuer *x509.Certificate
}

func newWorld(t testing.TB, change ...func(*catest.Plan)) *world {
	t.Helper()
	w := &world{t: t, now: start}
	p := catest.Plan{
		Now:  func() time.Time { return w.now },
		Wrap: func(db storage.DB) storage.DB { w.db = &hookedDB{DB: db}; return w.db },
	}
	for _, f := range change {
		f(&p)
	}
	w.authority = catest.New(t, p)
	w.CA, w.Store, w.root, w.issuer = w.authority.CA, w.authority.Store, w.authority.Root, w.authority.Issuer
	return w
}

// must turns an error into the end of the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	return must(x509.ParseCertificate(der))(t)
}

// A hookedDB calls back after the next View, or before the next Update: what
// happens then, happens between the decision to issue and its recording.
type hookedDB struct {
	storage.DB
	afterView    func()
	beforeUpdate func()
}

func (d *hookedDB) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if hook := d.beforeUpdate; hook != nil {
		d.beforeUpdate = nil
		hook()
	}
	return d.DB.Update(ctx, fn)
}

func (d *hookedDB) View(ctx context.Context, fn func(storage.Tx) error) error {
	err := d.DB.View(ctx, fn)
	if hook := d.afterView; hook != nil {
		d.afterView = nil
		hook()
	}
	return err
}

// mustIssue issues a certificate for a fresh key.
func (w *world) mustIssue(name agents.Name) (*ca.Issued, *x509.Certificate) {
	w.t.Helper()
	issued, err := w.Issue(context.Background(), catest.Ask(name, csr(w.t, newECDSA(w.t, elliptic.P256()), nil)))
	if err != nil {
		w.t.Fatal(err)
	}
	return issued, parse(w.t, issued.DER)
}

// verify checks the whole chain with crypto/x509, at the world's time.
func (w *world) verify(leaf *x509.Certificate, dnsName string) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(w.root)
	between.AddCert(w.issuer)
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, DNSName: dnsName, CurrentTime: w.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

func newECDSA(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	return must(ecdsa.GenerateKey(curve, rand.Reader))(t)
}

func newEd25519(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rsaKey is one for the whole run: they take long to make.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// csrDER makes a request as an agent does.
func csrDER(t testing.TB, key crypto.Signer, template *x509.CertificateRequest) []byte {
	t.Helper()
	if template == nil {
		template = &x509.CertificateRequest{}
	}
	return must(x509.CreateCertificateRequest(rand.Reader, template, key))(t)
}

func csr(t testing.TB, key crypto.Signer, template *x509.CertificateRequest) *ca.CSR {
	t.Helper()
	return must(ca.ParseCSR(csrDER(t, key, template)))(t)
}

func ips(addresses ...string) (list []net.IP) {
	for _, a := range addresses {
		list = append(list, net.ParseIP(a))
	}
	return list
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// refused checks that err is the sentinel's, if there is one, names what is wrong, and repeats
// no more of its input than a person can read.
func refused(t *testing.T, what string, err, want error, because string) {
	t.Helper()
	if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), because) {
		t.Errorf("%s: got %v, want %v that says %q", what, err, want, because)
	}
	if err != nil && len(err.Error()) > 500 {
		t.Errorf("%s: an error of %d octets: %.100s…", what, len(err.Error()), err)
	}
}
