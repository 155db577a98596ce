package crl_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/keys"
)

const td agents.TrustDomain = "example.internal"

var start = time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.UTC)

// A world is an authority that publishes, with a clock that tests set.
type world struct {
	*crl.Publisher
	t       *testing.T
	db      storage.DB
	keys    *keys.Store
	ca      *ca.CA
	clock   atomic.Pointer[time.Time]
	issuers map[string]*x509.Certificate
	csr     *ca.CSR
}

func newWorld(t *testing.T, algorithm keys.Algorithm) *world {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{t: t, db: db, keys: keys.NewStore(dir, keys.NoPassphrase), issuers: map[string]*x509.Certificate{}}
	w.at(start)
	rootKey, rootSigner := w.generate(keys.Root, algorithm)
	issuerKey, _ := w.generate(keys.Issuer, algorithm)
	root, err := ca.NewRoot("Example", rootSigner, 10*365*24*time.Hour, start)
	w.check(err)
	above, err := ca.RootIssuer(root, rootSigner)
	w.check(err)
	issuing, err := ca.NewIssuing("Example", issuerKey, above, 90*24*time.Hour, start)
	w.check(err)
	w.update(func(tx storage.Tx) error {
		_, err1 := keys.Record(tx, rootKey, keys.StateActive, start)
		_, err2 := keys.Record(tx, issuerKey, keys.StateActive, start)
		return errors.Join(err1, err2, ca.PutAuthority(tx, root), ca.PutAuthority(tx, issuing))
	})
	w.issuers[issuing.ID], err = x509.ParseCertificate(issuing.Certificate)
	w.check(err)
	w.ca, err = ca.New(ca.Config{DB: db, Keys: w.keys, TrustDomain: td, BaseURL: "http://ca.example.internal", Clock: clock.Believing(w.now)})
	w.check(err)
	w.restart()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.check(err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	w.check(err)
	w.csr, err = ca.ParseCSR(der)
	w.check(err)
	return w
}

// restart replaces the publisher, as a new start of the server does.
func (w *world) restart() { w.Publisher = crl.NewPublisher(w.db, w.ca, clock.Believing(w.now)) }

func (w *world) at(t time.Time) { w.clock.Store(&t) }
func (w *world) now() time.Time { return *w.clock.Load() }

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

func (w *world) add(name agents.Name) {
	w.t.Helper()
	e, err := agents.NewEnrollment(w.now())
	w.check(err)
	w.update(func(tx storage.Tx) error {
		_, err := agents.Add(tx, td, name, agents.Change{Owner: new("team")}, e, w.now())
		return err
	})
}

func (w *world) issue(name agents.Name) agents.Credential {
	w.t.Helper()
	issued, err := w.ca.Issue(context.Background(), ca.Request{Request: policy.Request{Actor: "test"}, Agent: name, CSR: w.csr, Proof: "a test"})
	w.check(err)
	return issued.Credential
}

func (w *world) revoke(c agents.Credential, why agents.Reason) {
	w.t.Helper()
	_, err := w.ca.Revoke(context.Background(), policy.Request{Actor: "test"}, c.ID, why)
	w.check(err)
}

// publish publishes and reads what came out.
func (w *world) publish() *x509.RevocationList {
	w.t.Helper()
	lists, err := w.Publish(context.Background())
	w.check(err)
	return w.read(lists[0])
}

func (w *world) publishRegular() *x509.RevocationList {
	w.t.Helper()
	lists, err := w.PublishRegular(context.Background())
	w.check(err)
	return w.read(lists[0])
}

// read parses a list with crypto/x509 and checks its signature and that what
// is said of it is true.
func (w *world) read(c *crl.CRL) *x509.RevocationList {
	w.t.Helper()
	list, err := x509.ParseRevocationList(c.DER)
	w.check(err)
	w.check(list.CheckSignatureFrom(w.issuers[c.Issuer]))
	if list.Number.Int64() != c.Number || !list.ThisUpdate.Equal(c.ThisUpdate) || !list.NextUpdate.Equal(c.NextUpdate) || len(list.RevokedCertificateEntries) != c.Entries {
		w.t.Errorf("list %s from %s to %s with %d entries is said to be %+v", list.Number, list.ThisUpdate, list.NextUpdate, len(list.RevokedCertificateEntries), c)
	}
	return list
}

// entry returns the entry of a certificate, or nil.
func entry(l *x509.RevocationList, c agents.Credential) *x509.RevocationListEntry {
	for i, e := range l.RevokedCertificateEntries {
		if string(e.SerialNumber.FillBytes(make([]byte, 20))) == c.ID.Key() {
			return &l.RevokedCertificateEntries[i]
		}
	}
	return nil
}
