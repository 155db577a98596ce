package crl_test

import (
	"context"
	"crypto/x509"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage/keys"
)

const td = catest.TrustDomain

var start = catest.Start

// A world is an authority that publishes, with a clock that tests set.
type world struct {
	*crl.Publisher
	*catest.Authority
	t     *testing.T
	clock atomic.Pointer[time.Time]
	csr   *ca.CSR
	csrs  map[agents.Name]*ca.CSR // a key belongs to one agent

	asking sync.Mutex // for csrs
}

func newWorld(t *testing.T, algorithm keys.Algorithm) *world {
	t.Helper()
	w := &world{t: t, csr: catest.CSR(t), csrs: map[agents.Name]*ca.CSR{}}
	w.at(start)
	w.Authority = catest.New(t, catest.Plan{Algorithm: algorithm, Now: w.now})
	w.restart()
	return w
}

// restart replaces the publisher, as a new start of the server does.
func (w *world) restart() { w.Publisher = crl.NewPublisher(w.DB, w.CA, w.Clock()) }

// setBack returns a clock that shows a time before the latest on record.
func setBack() *clock.Clock {
	return clock.New(func() time.Time { return start.Add(-time.Hour) }, clock.Record{Latest: start}, time.Hour)
}

func (w *world) at(t time.Time) { w.clock.Store(&t) }
func (w *world) now() time.Time { return *w.clock.Load() }

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// csrOf returns a request of an agent, always with the same key.
func (w *world) csrOf(name agents.Name) *ca.CSR {
	w.asking.Lock()
	defer w.asking.Unlock()
	if w.csrs[name] == nil {
		w.csrs[name] = catest.CSR(w.t)
	}
	return w.csrs[name]
}

func (w *world) issue(name agents.Name) agents.Credential {
	w.t.Helper()
	issued, err := w.CA.Issue(context.Background(), catest.Ask(name, w.csrOf(name)))
	w.check(err)
	return issued.Credential
}

func (w *world) revoke(c agents.Credential, why agents.Reason) {
	w.t.Helper()
	_, err := w.CA.Revoke(context.Background(), catest.Operator, c.ID, why)
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
	w.check(list.CheckSignatureFrom(w.IssuerOf(c.Issuer)))
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
