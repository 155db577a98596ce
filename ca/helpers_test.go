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
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/keys"
)

const (
	td      = agents.TrustDomain("example.internal")
	baseURL = "http://ca.example.internal:8080"
)

// start is where every world's clock begins, within a second.
var start = time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.UTC)

// A world is an authority without a server, with a clock that tests set.
type world struct {
	*ca.CA
	t            testing.TB
	db           *hookedDB
	keys         *keys.Store
	now          time.Time
	root, issuer *x509.Certificate
}

// A plan is what may differ between worlds.
type plan struct {
	algorithm      keys.Algorithm
	issuerLifetime time.Duration
	profiles       map[string]ca.ProfileConfig
}

func newWorld(t testing.TB, change ...func(*plan)) *world {
	t.Helper()
	p := plan{algorithm: keys.ECDSAP256, issuerLifetime: 90 * 24 * time.Hour}
	for _, f := range change {
		f(&p)
	}
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{t: t, db: &hookedDB{DB: db}, keys: keys.NewStore(dir, keys.NoPassphrase), now: start}

	rootKey, rootSigner := w.generate(keys.Root, p.algorithm)
	issuerKey, _ := w.generate(keys.Issuer, p.algorithm)
	root := must(ca.NewRoot("Example", rootSigner, 10*365*24*time.Hour, w.now))(t)
	above := must(ca.RootIssuer(root, rootSigner))(t)
	issuing := must(ca.NewIssuing("Example", issuerKey, above, p.issuerLifetime, w.now))(t)
	w.update(func(tx storage.Tx) error {
		_, err1 := keys.Record(tx, rootKey, keys.StateActive, w.now)
		_, err2 := keys.Record(tx, issuerKey, keys.StateActive, w.now)
		return errors.Join(err1, err2, ca.PutAuthority(tx, root), ca.PutAuthority(tx, issuing))
	})
	w.root, w.issuer = parse(t, root.Certificate), parse(t, issuing.Certificate)
	w.CA = must(ca.New(ca.Config{
		DB: w.db, Keys: w.keys, TrustDomain: td, BaseURL: baseURL, Profiles: p.profiles, Clock: clock.Believing(func() time.Time { return w.now }),
	}))(t)
	return w
}

func (w *world) generate(p keys.Purpose, a keys.Algorithm) (keys.Key, ca.Signer) {
	w.t.Helper()
	k, private, err := w.keys.Generate(p, a, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return k, must(ca.NewSigner(private))(w.t)
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

func (w *world) update(fn func(storage.Tx) error) {
	w.t.Helper()
	if err := w.db.Update(context.Background(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) view(fn func(storage.Tx) error) {
	w.t.Helper()
	if err := w.db.DB.View(context.Background(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) add(name agents.Name, c agents.Change) {
	w.t.Helper()
	if c.Owner == nil {
		c.Owner = new("team")
	}
	e := must(agents.NewEnrollment(w.now))(w.t)
	w.update(func(tx storage.Tx) error {
		_, err := agents.Add(tx, td, name, c, e, w.now)
		return err
	})
}

func (w *world) suspend(name agents.Name) {
	w.t.Helper()
	w.update(func(tx storage.Tx) error {
		_, err := agents.Suspend(tx, name, agents.KeyCompromise, w.now)
		return err
	})
}

// ask is a request as the server makes it.
func ask(name agents.Name, csr *ca.CSR) ca.Request {
	return ca.Request{Request: policy.Request{Actor: "spiffe://example.internal/agent/" + string(name), ID: "0123456789abcdef"}, Agent: name, CSR: csr, Proof: "a test"}
}

// mustIssue issues a certificate for a fresh key.
func (w *world) mustIssue(name agents.Name) (*ca.Issued, *x509.Certificate) {
	w.t.Helper()
	issued, err := w.Issue(context.Background(), ask(name, csr(w.t, newECDSA(w.t, elliptic.P256()), nil)))
	if err != nil {
		w.t.Fatal(err)
	}
	return issued, parse(w.t, issued.DER)
}

// records returns the certificates on record.
func (w *world) records() (all []ca.Certificate) {
	w.t.Helper()
	w.view(func(tx storage.Tx) error {
		for c, err := range ca.Since(tx, time.Time{}) {
			if err != nil {
				return err
			}
			all = append(all, c)
		}
		return nil
	})
	return all
}

func (w *world) events() (all []audit.Event) {
	w.t.Helper()
	w.view(func(tx storage.Tx) error {
		for e, err := range audit.Since(tx, 0) {
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		return nil
	})
	return all
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
