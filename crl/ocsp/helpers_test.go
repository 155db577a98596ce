package ocsp_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/keys"
)

const td agents.TrustDomain = "example.internal"

var start = time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.UTC)

// A world is an authority with a responder and a clock that tests set.
type world struct {
	*ocsp.Responder
	t       testing.TB
	db      *bolt.DB
	keys    *keys.Store
	ca      *ca.CA
	crl     *crl.Publisher
	clock   time.Time
	issuers map[string]*x509.Certificate
	csr     *ca.CSR
}

func newWorld(t testing.TB, algorithm keys.Algorithm) *world {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{t: t, db: db, keys: keys.NewStore(dir, keys.NoPassphrase), clock: start, issuers: map[string]*x509.Certificate{}}
	rootKey, rootSigner := w.generate(keys.Root, keys.ECDSAP256)
	root, err := ca.NewRoot("Example", rootSigner, 10*365*24*time.Hour, start)
	w.check(err)
	above, err := ca.RootIssuer(root, rootSigner)
	w.check(err)
	key, _ := w.generate(keys.Issuer, algorithm)
	issuing, err := ca.NewIssuing("Example", key, above, 90*24*time.Hour, start)
	w.check(err)
	w.update(func(tx storage.Tx) error {
		_, err1 := keys.Record(tx, rootKey, keys.StateActive, start)
		_, err2 := keys.Record(tx, key, keys.StateActive, start)
		return errors.Join(err1, err2, ca.PutAuthority(tx, root), ca.PutAuthority(tx, issuing))
	})
	w.learn(issuing)
	w.ca, err = ca.New(ca.Config{DB: db, Keys: w.keys, TrustDomain: td, BaseURL: "http://ca.example.internal", Clock: clock.Believing(w.now)})
	w.check(err)
	w.crl = crl.NewPublisher(db, w.ca, clock.Believing(w.now))
	w.Responder = ocsp.NewResponder(db, w.ca, clock.Believing(w.now), slog.New(slog.DiscardHandler))
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.check(err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private)
	w.check(err)
	w.csr, err = ca.ParseCSR(der)
	w.check(err)
	w.add("bot")
	return w
}

func (w *world) now() time.Time        { return w.clock }
func (w *world) pass(d time.Duration)  { w.clock = w.clock.Add(d) }
func (w *world) second() time.Time     { return w.clock.Truncate(time.Second) }
func (w *world) actor() policy.Request { return policy.Request{Actor: "test"} }
func (w *world) learn(issuer ca.Authority) {
	w.t.Helper()
	var err error
	w.issuers[issuer.ID], err = x509.ParseCertificate(issuer.Certificate)
	w.check(err)
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) update(fn func(storage.Tx) error) {
	w.t.Helper()
	w.check(w.db.Update(context.Background(), fn))
}

func (w *world) generate(p keys.Purpose, a keys.Algorithm) (keys.Key, ca.Signer) {
	w.t.Helper()
	k, private, err := w.keys.Generate(p, a, start)
	w.check(err)
	signer, err := ca.NewSigner(private)
	w.check(err)
	return k, signer
}

// rotate makes the next issuer.
func (w *world) rotate(a keys.Algorithm) {
	w.t.Helper()
	next, _ := w.generate(keys.Issuer, a)
	issuing, err := w.ca.NextIssuer(context.Background(), next, 24*time.Hour)
	w.check(err)
	w.update(func(tx storage.Tx) error {
		_, err1 := keys.Record(tx, next, keys.StateNext, w.now())
		err2 := ca.PutAuthority(tx, issuing)
		_, err3 := keys.Promote(tx, next.ID, w.now())
		return errors.Join(err1, err2, err3)
	})
	w.check(w.ca.Reload())
	w.learn(issuing)
}

func (w *world) add(name agents.Name) {
	w.t.Helper()
	e, err := agents.NewEnrollment(w.now())
	w.check(err)
	w.update(func(tx storage.Tx) error {
		_, err := agents.Add(tx, td, name, agents.Change{Owner: new("team of " + string(name))}, e, w.now())
		return err
	})
}

// A leaf is a certificate and its record.
type leaf struct {
	agents.Credential
	*x509.Certificate
}

func (w *world) issue(name agents.Name) leaf {
	w.t.Helper()
	l, err := w.tryIssue(name)
	w.check(err)
	return l
}

func (w *world) tryIssue(name agents.Name) (leaf, error) {
	w.t.Helper()
	issued, err := w.ca.Issue(context.Background(), ca.Request{Request: w.actor(), Agent: name, CSR: w.csr, Proof: "a test"})
	if err != nil {
		return leaf{}, err
	}
	cert, err := x509.ParseCertificate(issued.DER)
	w.check(err)
	return leaf{issued.Credential, cert}, nil
}

func (w *world) revoke(l leaf, why agents.Reason) {
	w.t.Helper()
	_, err := w.ca.Revoke(context.Background(), w.actor(), l.ID, why)
	w.check(err)
}

// request returns the request of a foreign client about a certificate.
func (w *world) request(l leaf, hash crypto.Hash) []byte {
	w.t.Helper()
	der, err := xocsp.CreateRequest(l.Certificate, w.issuers[l.Credential.Issuer], &xocsp.RequestOptions{Hash: hash})
	w.check(err)
	return der
}

// respond asks and fails the test if there is no answer.
func (w *world) respond(l leaf) *ocsp.Response {
	w.t.Helper()
	r, err := w.Respond(context.Background(), w.request(l, crypto.SHA1))
	w.check(err)
	return r
}

// ask reads the answer with a foreign client. It does not check the signature, because
// that client knows few algorithms.
func (w *world) ask(l leaf) *xocsp.Response {
	w.t.Helper()
	parsed, err := xocsp.ParseResponseForCert(w.respond(l).DER, l.Certificate, nil)
	w.check(err)
	return parsed
}
